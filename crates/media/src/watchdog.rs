//! Ends a child process when this process dies without a chance to do so, as by SIGKILL.
//!
//! A shell in the child's process group waits for the end of a pipe that only this process holds, and then kills its
//! group. This works on every Unix. (Linux has `PR_SET_PDEATHSIG`, but it needs unsafe code between fork and exec, and it
//! acts when the thread ends that started the child, which is not the process.)
//!
//! The functions don't need it: Lambda ends all processes of a sandbox together.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::process::Pid;
use tokio::process::{Child, Command};

static ENABLED: AtomicBool = AtomicBool::new(false);

/// Makes every ffmpeg process that is started from now on end when this process ends, however that happens.
pub fn end_children_with_this_process() {
    ENABLED.store(true, Relaxed);
}

/// A shell that kills its process group when this process dies. It is killed itself when this is dropped.
pub(crate) struct Watchdog {
    /// Owns the write end of the pipe.
    _shell: Child,
}

impl Watchdog {
    /// Starts the shell in the process group `group`. Returns `None` if it isn't enabled, or if the group has ended.
    pub(crate) fn start(group: Option<Pid>) -> Option<Self> {
        let group = group.filter(|_| ENABLED.load(Relaxed))?;
        let mut command = Command::new("/bin/sh");
        // `read` ends at the end of the pipe, to which nothing is written. The process 0 is the shell's own group.
        command.args(["-c", "read -r end; kill -9 0"]).env_clear().current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let shell = command.process_group(group.as_raw_nonzero().get()).spawn();
        shell
            .inspect_err(|error| tracing::debug!(%error, "no watchdog"))
            .ok()
            .map(|shell| Self { _shell: shell })
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::io::{Read, pipe};
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use command_fds::{CommandFdExt, FdMapping};
    use tokio::time::Instant;

    use crate::child::{self, ChildSpec, Feed, Limits};

    const MARK: &str = "as-the-parent";
    const FOREVER: Duration = Duration::from_hours(24);

    /// Does nothing among the other tests. The test below runs it in a process of its own.
    #[tokio::test]
    async fn parent_process() {
        if !std::env::args().any(|argument| argument == MARK) {
            return;
        }
        super::end_children_with_this_process();
        let spec = ChildSpec {
            program: Path::new("/bin/sh"),
            // The input is written after the watchdog is started.
            args: &["-c", "read -r go; echo started >&9; exec sleep 100000"],
            input: Some(Feed::Pieces(vec!["go\n".into()])),
            streams: Vec::new(),
            outputs: 1,
            network: false,
            limits: Limits::FEW_FRAMES,
            deadline: Instant::now() + FOREVER,
        };
        let ended = child::run(spec, pending::<()>()).await;
        panic!("the child ended: {ended:?}");
    }

    /// The pipe ends when the last process that inherited it has ended: the parent, the child and the watchdog.
    #[test]
    fn children_end_with_a_killed_parent() {
        let (mut read, write) = pipe().unwrap();
        let mut parent = Command::new(std::env::current_exe().unwrap());
        parent.args(["--exact", "watchdog::tests::parent_process", MARK, "--nocapture"]);
        parent.stdout(Stdio::null()).stderr(Stdio::null());
        parent.fd_mappings(vec![FdMapping { parent_fd: write.into(), child_fd: 9 }]).unwrap();
        let mut process = parent.spawn().unwrap();
        // It holds a copy of the write end.
        drop(parent);
        let mut started = [0; 8];
        read.read_exact(&mut started).unwrap();
        assert_eq!(&started, b"started\n");
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(read.read_to_end(&mut Vec::new()).unwrap(), 0);
    }
}
