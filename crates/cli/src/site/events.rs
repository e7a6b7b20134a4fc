//! `/events`: server-sent events. Without more, a clock for all who listen; with `?count=N`, numbers for this
//! client alone, which goes on where it was when it comes back.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::json;
use tidegate::{Event, EventHub, EventSender, EventStreamOptions, Request, Response};

use super::{number, refuse};

pub(super) fn events(request: &Request<'_>, response: &mut Response) {
    let asked = |name| {
        let value = request.query_params().all(name).next()?;
        // What is no number is more than any may be.
        Some(number(&value).unwrap_or(u64::MAX))
    };
    let Some(count) = asked("count") else {
        return clock(response);
    };
    let part = asked("part").unwrap_or(COUNT_MAX);
    let pause = asked("pause").unwrap_or(0);
    if count > COUNT_MAX || part == 0 || part > COUNT_MAX || pause > PAUSE_MS_MAX {
        let most = format!("N and K are 1 to {COUNT_MAX}, MS is 0 to {PAUSE_MS_MAX}");
        return refuse(
            response,
            &format!("/events?count=N&part=K&pause=MS: {most}"),
        );
    }
    let last = request.last_event_id();
    let first = match last.as_deref().map(number) {
        None => 1,
        Some(Some(last)) if last <= count => last + 1,
        Some(_) => return refuse(response, "That is no event of this stream"),
    };
    if first > count {
        // What has a browser not come back any more.
        return response.status(204).empty();
    }
    let numbers = first..=count.min(first.saturating_add(part - 1));
    let pause = Duration::from_millis(pause);
    response.answer_async(move |_, mut response| async move {
        let sender = response.events_with(EventStreamOptions {
            retry: Some(RETRY),
            ..EventStreamOptions::default()
        });
        tokio::spawn(send_numbers(sender, numbers, pause));
        response
    });
}

async fn send_numbers(
    sender: EventSender,
    numbers: impl Iterator<Item = u64> + Send,
    pause: Duration,
) {
    for number in numbers {
        let text = number.to_string();
        // The client has left, or the server stops.
        if sender
            .send(Event::new(text.clone()).id(text))
            .await
            .is_err()
        {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

fn clock(response: &mut Response) {
    response.answer_async(|request, mut response| async move {
        CLOCK.hub.answer(&request, &mut response);
        CLOCK.wind_up();
        response
    });
}

/// Ticks as long as somebody listens.
struct Clock {
    hub: EventHub,
    /// Guards that one task ticks, never two; held to look and to note only.
    ticks: Mutex<bool>,
}

static CLOCK: LazyLock<Clock> = LazyLock::new(|| Clock {
    hub: EventHub::new(),
    ticks: Mutex::new(false),
});

impl Clock {
    fn wind_up(&'static self) {
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *ticks, true) {
            tokio::spawn(self.tick());
        }
    }

    async fn tick(&self) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            let clients = self.hub.clients();
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let time = now.map_or(0, |now| now.as_millis() as u64);
            let event = Event::new(json!({"time": time, "clients": clients}).to_string());
            // It has neither an id nor a line end.
            let _ = self.hub.send(event.event("tick"));
            if self.runs_down() {
                return;
            }
        }
    }

    /// Whether nobody listens. Whoever comes from now on winds it up again.
    fn runs_down(&self) -> bool {
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        *ticks = self.hub.clients() > 0;
        !*ticks
    }
}

const COUNT_MAX: u64 = 1_000_000;
const PAUSE_MS_MAX: u64 = 10_000;
const RETRY: Duration = Duration::from_millis(50);
