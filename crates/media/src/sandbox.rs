//! Restricts the system calls of the child process with a seccomp filter.
//!
//! A filter applies to the thread that installs it and to that thread's children. So a dedicated thread installs the
//! filter, spawns the child and ends. Nothing runs between fork and exec, and the rest of this process is not
//! restricted. The filter must therefore also allow the calls that spawn a process.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Once;

use tokio::process::{Child, Command};

/// Permissions of a child process beyond the minimum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permissions {
    /// The child may connect to the range server.
    pub(crate) network: bool,
    /// The child may open files for reading, to load its shared libraries. The layer's ffmpeg is linked statically and
    /// opens no files.
    pub(crate) libraries: bool,
}

impl Permissions {
    /// Returns the permissions for `program`. It gets `libraries` unless it is a statically linked ELF program.
    pub(crate) fn of(program: &Path, network: bool) -> Self {
        let mut head = Vec::new();
        let read = File::open(program).and_then(|file| file.take(4096).read_to_end(&mut head));
        Self { network, libraries: read.is_err() || !is_static(&head) }
    }
}

/// Returns whether a file that starts with `head` is an ELF program without a dynamic loader; `false` if in doubt.
fn is_static(head: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let table = || {
        // 64-bit, little-endian: both of Lambda's architectures.
        let start = head.strip_prefix(b"\x7fELF\x02\x01")?.get(26..34)?;
        let start = usize::try_from(u64::from_le_bytes(start.try_into().ok()?)).ok()?;
        let (size, count) = (usize::from(number(54)?), usize::from(number(56)?));
        let table = head.get(start..start.checked_add(size * count)?)?;
        (size >= 4 && count > 0).then(|| table.chunks_exact(size))
    };
    table().is_some_and(|mut headers| headers.all(|header| !header.starts_with(&PT_INTERP.to_le_bytes())))
}

/// Spawns the child with the filter in force. Without seccomp, logs a warning once and spawns it unfiltered.
pub(crate) fn spawn(mut command: Command, permissions: Permissions) -> io::Result<Child> {
    static WARNING: Once = Once::new();
    let runtime = tokio::runtime::Handle::current();
    let start = move || {
        let _entered = runtime.enter();
        let applied = filter::apply(permissions);
        (applied, command.spawn())
    };
    let thread = std::thread::Builder::new().name("spawn".to_owned()).spawn(start)?;
    let (applied, child) =
        thread.join().map_err(|_| io::Error::other("the thread that spawns the child panicked"))?;
    if let Err(error) = applied {
        WARNING.call_once(|| tracing::warn!(error, "ffmpeg runs without a system call filter"));
    }
    child
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod filter {
    pub(super) fn apply(_: super::Permissions) -> Result<(), String> {
        Err("not supported on this platform".to_owned())
    }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod filter {
    use std::collections::BTreeMap;
    use std::sync::OnceLock;

    use libc::{
        AF_INET, AF_UNIX, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID,
        CLONE_NEWUSER, CLONE_NEWUTS, ENOSYS, EPERM, F_DUPFD_CLOEXEC, F_SETFL, O_ACCMODE, O_CREAT, O_TRUNC,
        PR_SET_NAME, PROT_EXEC, SOCK_SEQPACKET, SOCK_STREAM,
    };
    use seccompiler::SeccompCmpArgLen::{Dword, Qword};
    use seccompiler::SeccompCmpOp::{Eq, Le, MaskedEq};
    use seccompiler::{
        BackendError, BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    };

    use super::Permissions;

    const ARCH: TargetArch =
        if cfg!(target_arch = "x86_64") { TargetArch::x86_64 } else { TargetArch::aarch64 };

    /// Calls allowed for every child. They affect only its own memory, threads and pipes. The child could fork and
    /// leave its process group, because spawning it requires both calls, but its children inherit the filter.
    const ALWAYS: &[libc::c_long] = &[
        // Memory.
        libc::SYS_brk,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        // Pipes. FFmpeg 7 duplicates each one that it is given.
        libc::SYS_close,
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_fstat,
        libc::SYS_lseek,
        libc::SYS_newfstatat,
        libc::SYS_pipe2,
        libc::SYS_ppoll,
        libc::SYS_pread64,
        libc::SYS_pselect6,
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_write,
        libc::SYS_writev,
        // Threads and time. For clone3, see `reject_clone3`.
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_clone3,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_getrusage,
        libc::SYS_gettimeofday,
        libc::SYS_membarrier,
        libc::SYS_nanosleep,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigsuspend,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_set_robust_list,
        libc::SYS_set_tid_address,
        libc::SYS_sigaltstack,
        // Identity. Callers don't expect errors from these calls.
        libc::SYS_getegid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getpgid,
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_gettid,
        libc::SYS_getuid,
        libc::SYS_uname,
        // Spawning the child and waiting for it.
        libc::SYS_chdir,
        libc::SYS_epoll_ctl,
        libc::SYS_execve,
        libc::SYS_pidfd_open,
        libc::SYS_recvfrom,
        libc::SYS_setpgid,
        libc::SYS_wait4,
    ];

    /// Calls that aarch64 replaced with newer ones in [`ALWAYS`].
    #[cfg(target_arch = "x86_64")]
    const ALWAYS_ARCH: &[libc::c_long] = &[
        libc::SYS_arch_prctl,
        libc::SYS_dup2,
        libc::SYS_getpgrp,
        libc::SYS_poll,
        libc::SYS_select,
        libc::SYS_vfork,
    ];
    #[cfg(not(target_arch = "x86_64"))]
    const ALWAYS_ARCH: &[libc::c_long] = &[];

    /// Calls to find, load and set up shared libraries. `openat` has its own rule.
    const LIBRARIES: &[libc::c_long] = &[
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_fstatfs,
        libc::SYS_getcwd,
        libc::SYS_getdents64,
        libc::SYS_ioctl,
        libc::SYS_mlock,
        libc::SYS_readlinkat,
        libc::SYS_statfs,
        libc::SYS_statx,
    ];
    #[cfg(target_arch = "x86_64")]
    const LIBRARIES_ARCH: &[libc::c_long] =
        &[libc::SYS_access, libc::SYS_lstat, libc::SYS_readlink, libc::SYS_stat];
    #[cfg(not(target_arch = "x86_64"))]
    const LIBRARIES_ARCH: &[libc::c_long] = &[];

    /// Calls of a client on a socket. `socket` has its own rule.
    const NETWORK: &[libc::c_long] = &[
        libc::SYS_connect,
        libc::SYS_getpeername,
        libc::SYS_getsockname,
        libc::SYS_getsockopt,
        libc::SYS_sendto,
        libc::SYS_setsockopt,
        libc::SYS_shutdown,
    ];

    type Rules = BTreeMap<i64, Vec<SeccompRule>>;
    type Compiled = Result<BpfProgram, BackendError>;

    /// Installs the filter on the calling thread. It cannot be removed.
    pub(super) fn apply(permissions: Permissions) -> Result<(), String> {
        static LEGACY: OnceLock<Compiled> = OnceLock::new();
        static KINDS: [OnceLock<Compiled>; 4] = [const { OnceLock::new() }; 4];
        let kind = &KINDS[usize::from(permissions.network) * 2 + usize::from(permissions.libraries)];
        // The order matters: the second filter forbids installing a third one.
        for filter in [LEGACY.get_or_init(reject_clone3), kind.get_or_init(|| allow(permissions))] {
            let filter = filter.as_ref().map_err(ToString::to_string)?;
            seccompiler::apply_filter(filter).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Makes clone3 fail with ENOSYS, so that the C library falls back to clone. A filter can't check the flags of
    /// clone3, which are in memory. With EPERM, the other filter's error, the C library would not fall back.
    fn reject_clone3() -> Compiled {
        let rules = Rules::from([(libc::SYS_clone3, Vec::new())]);
        filter(rules, SeccompAction::Allow, errno(ENOSYS))
    }

    /// Builds the filter that allows the calls needed with `permissions`. All other calls fail with EPERM instead of
    /// killing the child, so that ffmpeg can report what failed.
    fn allow(permissions: Permissions) -> Compiled {
        let lists = [
            (true, [ALWAYS, ALWAYS_ARCH]),
            (permissions.libraries, [LIBRARIES, LIBRARIES_ARCH]),
            (permissions.network, [NETWORK, &[]]),
        ];
        let wanted = lists.iter().filter(|(wanted, _)| *wanted).flat_map(|(_, lists)| lists.concat());
        let mut rules: Rules = wanted.map(|call| (call, Vec::new())).collect();
        let mut allow_if = |call: libc::c_long, conditions: Vec<SeccompCondition>| {
            rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
            Ok::<(), BackendError>(())
        };

        // No namespaces: they expose much of the kernel to unprivileged processes.
        let namespaces = CLONE_NEWCGROUP
            | CLONE_NEWIPC
            | CLONE_NEWNET
            | CLONE_NEWNS
            | CLONE_NEWPID
            | CLONE_NEWUSER
            | CLONE_NEWUTS;
        allow_if(libc::SYS_clone, vec![none_of(0, namespaces)?])?;
        // No F_SETOWN: it makes the kernel send signals to other processes.
        allow_if(libc::SYS_fcntl, vec![SeccompCondition::new(1, Dword, Le, bits(F_SETFL))?])?;
        allow_if(libc::SYS_fcntl, vec![equal(1, F_DUPFD_CLOEXEC)?])?;
        allow_if(libc::SYS_prctl, vec![equal(0, PR_SET_NAME)?])?;
        // A socket pair is connected only to itself. The standard library reports a failed exec through one.
        allow_if(libc::SYS_socketpair, vec![equal(0, AF_UNIX)?, masked(1, 0xF, SOCK_SEQPACKET)?])?;
        // Resource limits can be read but not set, neither the child's nor this process's.
        allow_if(libc::SYS_prlimit64, vec![SeccompCondition::new(2, Qword, Eq, 0)?])?;
        // No executable memory, except for shared libraries.
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            let code = if permissions.libraries { 0 } else { PROT_EXEC };
            allow_if(call, vec![none_of(2, code)?])?;
        }
        if permissions.libraries {
            let writing = O_ACCMODE | O_CREAT | O_TRUNC;
            allow_if(libc::SYS_openat, vec![none_of(2, writing)?])?;
            #[cfg(target_arch = "x86_64")]
            allow_if(libc::SYS_open, vec![none_of(1, writing)?])?;
        }
        if permissions.network {
            allow_if(libc::SYS_socket, vec![equal(0, AF_INET)?, masked(1, 0xF, SOCK_STREAM)?])?;
        }
        filter(rules, errno(EPERM), SeccompAction::Allow)
    }

    fn filter(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Compiled {
        SeccompFilter::new(rules, otherwise, matched, ARCH)?.try_into()
    }

    fn errno(number: i32) -> SeccompAction {
        SeccompAction::Errno(number.unsigned_abs())
    }

    fn equal(argument: u8, value: i32) -> Result<SeccompCondition, BackendError> {
        SeccompCondition::new(argument, Dword, Eq, bits(value))
    }

    fn none_of(argument: u8, flags: i32) -> Result<SeccompCondition, BackendError> {
        masked(argument, flags, 0)
    }

    fn masked(argument: u8, mask: i32, value: i32) -> Result<SeccompCondition, BackendError> {
        SeccompCondition::new(argument, Dword, MaskedEq(bits(mask)), bits(value))
    }

    /// Converts a 32-bit argument to the filter's representation.
    fn bits(value: i32) -> u64 {
        u64::from(value.cast_unsigned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an ELF header followed by program headers of these types.
    fn elf(types: &[u8]) -> Vec<u8> {
        let mut head = vec![0; 64 + 56 * types.len()];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (head[32], head[54], head[56]) = (64, 56, u8::try_from(types.len()).unwrap());
        for (index, kind) in types.iter().enumerate() {
            head[64 + 56 * index] = *kind;
        }
        head
    }

    #[test]
    fn static_program_is_detected_by_its_headers() {
        assert!(is_static(&elf(&[1, 1, 6])));
        assert!(!is_static(&elf(&[6, 3, 1])));
        // In doubt, the program may open shared libraries.
        assert!(!is_static(&elf(&[])));
        assert!(!is_static(&elf(&[1, 1])[..150]));
        assert!(!is_static(b"#!/bin/sh\n"));
        assert!(!is_static(b""));
        let mut far = elf(&[1]);
        far[32..40].fill(0xFF);
        assert!(!is_static(&far));
        assert!(!Permissions::of(Path::new("/nowhere/ffmpeg"), false).network);
        assert!(Permissions::of(Path::new("/nowhere/ffmpeg"), false).libraries);
    }

    /// Runs a child; returns whether it succeeded, and its standard output and error.
    #[cfg(target_os = "linux")]
    async fn run(program: &str, args: &[&str], permissions: Permissions) -> (bool, String) {
        let mut command = Command::new(program);
        let null = std::process::Stdio::from(File::open("/dev/null").unwrap());
        command.args(args).stdin(null).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        let output = spawn(command, permissions).unwrap().wait_with_output().await.unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn files_are_readable_only_with_library_permission() {
        let path = format!("/tmp/upreel-sandbox-{}", uuid::Uuid::new_v4());
        let libraries = Permissions { network: false, libraries: true };
        let (ended, printed) = run("/bin/cat", &["/proc/self/status"], libraries).await;
        assert!(ended && printed.contains("Seccomp:\t2") && printed.contains("NoNewPrivs:\t1"), "{printed}");
        for mode in [">", ">>", "<>"] {
            let (ended, printed) = run("/bin/sh", &["-c", &format!("echo x {mode} {path}")], libraries).await;
            assert!(!ended && printed.contains("not permitted"), "{mode} {printed}");
            assert!(!Path::new(&path).exists());
        }
        // The dynamic loader is the first to open a file.
        let strict = Permissions { network: false, libraries: false };
        let (ended, printed) = run("/bin/cat", &["/proc/self/status"], strict).await;
        assert!(!ended && printed.contains("error while loading shared libraries"), "{printed}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn tcp_sockets_need_network_permission() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for (network, kind, possible) in
            [(true, "tcp", true), (true, "udp", false), (false, "tcp", false), (false, "udp", false)]
        {
            let text = format!("exec 3<>/dev/{kind}/127.0.0.1/{port} && echo made");
            let (_, printed) =
                run("/bin/bash", &["-c", &text], Permissions { network, libraries: true }).await;
            assert_eq!(printed.contains("made"), possible, "{network} {kind} {printed}");
            assert_eq!(printed.contains("not permitted"), !possible, "{network} {kind} {printed}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn signals_limits_and_namespaces_are_forbidden() {
        let permissions = Permissions { network: true, libraries: true };
        for text in ["kill -9 $PPID", "ulimit -n 8", "unshare -U true"] {
            let (ended, printed) = run("/bin/bash", &["-c", text], permissions).await;
            assert!(!ended && printed.contains("not permitted"), "{text}: {printed}");
        }
    }
}
