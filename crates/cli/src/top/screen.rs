//! A terminal that is taken, and given back as it was, however the program ends.

use std::io::{self, Stdout, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    self, Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen,
    LeaveAlternateScreen,
};
use crossterm::{execute, queue};

use super::view::{Ink, Line};
use crate::signals::Signals;

/// What a person wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    Quit,
    /// The terminal has another size.
    Redraw,
    Nothing,
}

/// The terminal. Dropping it gives it back.
pub(super) struct Screen {
    out: Stdout,
    /// Somebody asks the program to stop, by a signal.
    stops: Arc<AtomicBool>,
    has_colors: bool,
}

impl Screen {
    /// Takes the terminal: another screen, without a cursor, and keys as they are pressed.
    pub(super) fn open() -> io::Result<Self> {
        let stops = Arc::new(AtomicBool::new(false));
        listen(&stops)?;
        terminal::enable_raw_mode()?;
        let mut screen = Self {
            out: io::stdout(),
            stops,
            // https://no-color.org
            has_colors: std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()),
        };
        execute!(screen.out, EnterAlternateScreen, Hide, DisableLineWrap)?;
        Ok(screen)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        let (columns, rows) = terminal::size().unwrap_or((80, 24));
        (columns.into(), rows.into())
    }

    pub(super) fn show(&mut self, lines: &[Line]) -> io::Result<()> {
        let out = &mut self.out;
        for (row, line) in lines.iter().enumerate() {
            let row = u16::try_from(row).unwrap_or(u16::MAX);
            queue!(out, MoveTo(0, row))?;
            for (ink, text) in &line.0 {
                if self.has_colors {
                    color(out, *ink)?;
                }
                queue!(out, Print(text), SetAttribute(Attribute::Reset), ResetColor)?;
            }
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        queue!(out, Clear(ClearType::FromCursorDown))?;
        out.flush()
    }

    /// Waits for so long, or until a person wants something.
    pub(super) fn wait(&mut self, time: Duration) -> io::Result<Wanted> {
        let end = Instant::now() + time;
        loop {
            if self.stops.load(Ordering::Relaxed) {
                return Ok(Wanted::Quit);
            }
            let left = end.saturating_duration_since(Instant::now());
            if !event::poll(left.min(SIGNAL_WAIT_MAX))? {
                if left.is_zero() {
                    return Ok(Wanted::Nothing);
                }
                continue;
            }
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => match key.code {
                    KeyCode::Char('q' | 'Q') | KeyCode::Esc => return Ok(Wanted::Quit),
                    KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                        return Ok(Wanted::Quit);
                    }
                    _ => {}
                },
                Event::Resize(..) => return Ok(Wanted::Redraw),
                _ => {}
            }
        }
    }
}

fn color(out: &mut Stdout, ink: Ink) -> io::Result<()> {
    match ink {
        Ink::Plain => Ok(()),
        Ink::Strong => queue!(out, SetAttribute(Attribute::Bold)),
        Ink::Soft => queue!(out, SetForegroundColor(Color::DarkGrey)),
        Ink::Title => queue!(
            out,
            SetForegroundColor(Color::Cyan),
            SetAttribute(Attribute::Bold)
        ),
        Ink::Good => queue!(out, SetForegroundColor(Color::Green)),
        Ink::Warn => queue!(out, SetForegroundColor(Color::Yellow)),
        Ink::Bad => queue!(out, SetForegroundColor(Color::Red)),
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that has gone away needs nothing back.
        let _ = execute!(
            self.out,
            ResetColor,
            EnableLineWrap,
            Show,
            LeaveAlternateScreen
        );
        let _ = terminal::disable_raw_mode();
    }
}

/// Has signals that would end the program noted instead, so that the terminal is given back first.
fn listen(stops: &Arc<AtomicBool>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let entered = runtime.enter();
    let mut signals = Signals::listen()?;
    drop(entered);
    let stops = Arc::clone(stops);
    thread::Builder::new()
        .name("tidegate-signals".to_owned())
        .spawn(move || {
            // SIGHUP means that the terminal is gone.
            runtime.block_on(signals.next());
            stops.store(true, Ordering::Relaxed);
        })?;
    Ok(())
}

const SIGNAL_WAIT_MAX: Duration = Duration::from_millis(200);
