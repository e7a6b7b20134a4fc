//! Runs another program on one processor, undisturbed as far as that can be had.
//!
//! The program gets a session of its own with a high weight among sessions (`autogroup`): on a busy
//! machine a woken server would else wait whole ticks behind its neighbours. Real-time scheduling
//! was tried and dropped: the kernel's network threads then starve. It may open as many
//! descriptors as the hard limit allows, and dies with the one who launched it.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::error::GeneratorError;
use crate::options::Plan;

/// Becomes the program; returns only when that fails.
pub(crate) fn run(plan: &Plan) -> Result<(), GeneratorError> {
    end_with_parent()?;
    pin(plan.cpu)?;
    raise_descriptor_limit()?;
    // SAFETY: takes no argument. It fails when we lead a group already: then we stay in our session.
    unsafe { libc::setsid() };
    // Lowering the nice value needs a privilege; without it the runs are only noisier.
    let _ = fs::write("/proc/self/autogroup", AUTOGROUP_NICE);
    let source = Command::new(&plan.program[0])
        .args(&plan.program[1..])
        .exec();
    Err(GeneratorError::System {
        call: "execve",
        source,
    })
}

fn end_with_parent() -> Result<(), GeneratorError> {
    // SAFETY: this option takes a signal number and no pointer.
    let code = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    check("prctl(PR_SET_PDEATHSIG)", code)
}

fn pin(cpu: usize) -> Result<(), GeneratorError> {
    // SAFETY: the set is a plain bit array, for which all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: sets one bit of our own set; the macro ignores a number beyond its end.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: 0 is this thread; the pointer and the size are those of our own set.
    let code = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    check("sched_setaffinity", code)
}

fn raise_descriptor_limit() -> Result<(), GeneratorError> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call fills our own struct.
    let code = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    check("getrlimit", code)?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the call reads our own struct.
    let code = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    check("setrlimit", code)
}

fn check(call: &'static str, code: i32) -> Result<(), GeneratorError> {
    if code < 0 {
        return Err(GeneratorError::System {
            call,
            source: io::Error::last_os_error(),
        });
    }
    Ok(())
}

const AUTOGROUP_NICE: &str = "-15";
