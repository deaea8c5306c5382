//! What a process takes from itself before it touches a secret: core dumps, being read by a debugger of its own user,
//! and ever gaining privileges.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Which step failed.
#[derive(Debug, thiserror::Error)]
#[error("can't harden this process ({step}): {source}")]
pub struct HardenError {
    step: &'static str,
    source: rustix::io::Errno,
}

/// Applies all of it. Call it first in `main`, before threads exist.
///
/// # Errors
/// [`HardenError`] names the step that the kernel refused; a service must not start then.
pub fn this_process() -> Result<(), HardenError> {
    let wrap = |step| move |source| HardenError { step, source };
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(wrap("no core dumps"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(wrap("not dumpable"))?;
    rustix::thread::set_no_new_privs(true).map_err(wrap("no new privileges"))?;
    Ok(())
}
