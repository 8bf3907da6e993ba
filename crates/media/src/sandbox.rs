//! What the child may ask of the kernel: a seccomp filter, which it inherits.
//!
//! A filter binds the thread that sets it and all that comes from it. So a thread is started for it,
//! starts the child and ends; nothing is set between fork and exec, and the rest of this process stays
//! free. All that starting a process takes is therefore on the lists as well.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Once;

use tokio::process::{Child, Command};

/// What one kind of run needs beyond the least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// It connects to the range server.
    pub(crate) network: bool,
    /// Its libraries are files, which it opens. Ours is linked statically and opens nothing at all.
    pub(crate) libraries: bool,
}

impl Needs {
    pub(crate) fn of(program: &Path, network: bool) -> Self {
        let mut head = Vec::new();
        let read = File::open(program).and_then(|file| file.take(4096).read_to_end(&mut head));
        Self { network, libraries: read.is_err() || !is_static(&head) }
    }
}

/// Whether these first bytes are an ELF file's that asks for no loader; false in doubt.
fn is_static(head: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let table = || {
        // 64 bits, little-endian: what both processors of Lambda run.
        let start = head.strip_prefix(b"\x7fELF\x02\x01")?.get(26..34)?;
        let start = usize::try_from(u64::from_le_bytes(start.try_into().ok()?)).ok()?;
        let (size, count) = (usize::from(number(54)?), usize::from(number(56)?));
        let table = head.get(start..start.checked_add(size * count)?)?;
        (size >= 4 && count > 0).then(|| table.chunks_exact(size))
    };
    table().is_some_and(|mut headers| headers.all(|header| !header.starts_with(&PT_INTERP.to_le_bytes())))
}

/// Starts the child with the filter in force, or without one where there is none.
pub(crate) fn spawn(mut command: Command, needs: Needs) -> io::Result<Child> {
    static WARNING: Once = Once::new();
    let runtime = tokio::runtime::Handle::current();
    let start = move || {
        let _entered = runtime.enter();
        let held = filter::hold(needs);
        (held, command.spawn())
    };
    let thread = std::thread::Builder::new().name("spawn".to_owned()).spawn(start)?;
    let (held, child) =
        thread.join().map_err(|_| io::Error::other("the thread that starts the child panicked"))?;
    if let Err(error) = held {
        WARNING.call_once(|| tracing::warn!(error, "ffmpeg runs without a system call filter"));
    }
    child
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod filter {
    pub(super) fn hold(_: super::Needs) -> Result<(), String> {
        Err("there is none for this system".to_owned())
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

    use super::Needs;

    const ARCH: TargetArch =
        if cfg!(target_arch = "x86_64") { TargetArch::x86_64 } else { TargetArch::aarch64 };

    /// For every child. Nothing here reaches beyond what it has been given: its memory, its threads, its
    /// pipes. It could fork and leave its group, because starting it takes both; the filter goes along.
    const ALWAYS: &[libc::c_long] = &[
        // Its memory.
        libc::SYS_brk,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        // Its pipes. FFmpeg 7 duplicates each one that it is given.
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
        // Its threads and time. See `legacy_clone` for clone3.
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
        // Who it is. Callers expect no error from these.
        libc::SYS_getegid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getpgid,
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_gettid,
        libc::SYS_getuid,
        libc::SYS_uname,
        // To start it and to wait for it.
        libc::SYS_chdir,
        libc::SYS_epoll_ctl,
        libc::SYS_execve,
        libc::SYS_pidfd_open,
        libc::SYS_recvfrom,
        libc::SYS_setpgid,
        libc::SYS_wait4,
    ];

    /// What the newer processor has only in another form.
    #[cfg(target_arch = "x86_64")]
    const ALWAYS_HERE: &[libc::c_long] = &[
        libc::SYS_arch_prctl,
        libc::SYS_dup2,
        libc::SYS_getpgrp,
        libc::SYS_poll,
        libc::SYS_select,
        libc::SYS_vfork,
    ];
    #[cfg(not(target_arch = "x86_64"))]
    const ALWAYS_HERE: &[libc::c_long] = &[];

    /// To find, load and set up libraries; opening is a rule of its own.
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
    const LIBRARIES_HERE: &[libc::c_long] =
        &[libc::SYS_access, libc::SYS_lstat, libc::SYS_readlink, libc::SYS_stat];
    #[cfg(not(target_arch = "x86_64"))]
    const LIBRARIES_HERE: &[libc::c_long] = &[];

    /// What a client does with a socket; making one is a rule of its own.
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

    /// Binds the calling thread, for good.
    pub(super) fn hold(needs: Needs) -> Result<(), String> {
        static LEGACY: OnceLock<Compiled> = OnceLock::new();
        static KINDS: [OnceLock<Compiled>; 4] = [const { OnceLock::new() }; 4];
        let kind = &KINDS[usize::from(needs.network) * 2 + usize::from(needs.libraries)];
        // The second one lets no third one in.
        for filter in [LEGACY.get_or_init(legacy_clone), kind.get_or_init(|| allow(needs))] {
            let filter = filter.as_ref().map_err(ToString::to_string)?;
            seccompiler::apply_filter(filter).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The flags of clone3 are in memory, where no filter sees them, so it is said to be unknown and the
    /// C library takes clone instead. The error of the other filter would make it give up.
    fn legacy_clone() -> Compiled {
        let rules = Rules::from([(libc::SYS_clone3, Vec::new())]);
        filter(rules, SeccompAction::Allow, errno(ENOSYS))
    }

    /// All else is refused and not deadly, so that the child can say what it could not do.
    fn allow(needs: Needs) -> Compiled {
        let lists = [
            (true, [ALWAYS, ALWAYS_HERE]),
            (needs.libraries, [LIBRARIES, LIBRARIES_HERE]),
            (needs.network, [NETWORK, &[]]),
        ];
        let wanted = lists.iter().filter(|(wanted, _)| *wanted).flat_map(|(_, lists)| lists.concat());
        let mut rules: Rules = wanted.map(|call| (call, Vec::new())).collect();
        let mut only = |call: libc::c_long, conditions: Vec<SeccompCondition>| {
            rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
            Ok::<(), BackendError>(())
        };

        // No namespaces: they open much of the kernel to a process without rights.
        let namespaces = CLONE_NEWCGROUP
            | CLONE_NEWIPC
            | CLONE_NEWNET
            | CLONE_NEWNS
            | CLONE_NEWPID
            | CLONE_NEWUSER
            | CLONE_NEWUTS;
        only(libc::SYS_clone, vec![none_of(0, namespaces)?])?;
        // Not F_SETOWN, which has signals sent to others.
        only(libc::SYS_fcntl, vec![SeccompCondition::new(1, Dword, Le, bits(F_SETFL))?])?;
        only(libc::SYS_fcntl, vec![equal(1, F_DUPFD_CLOEXEC)?])?;
        only(libc::SYS_prctl, vec![equal(0, PR_SET_NAME)?])?;
        // A pair is connected to itself only. The standard library hears through one why exec failed.
        only(libc::SYS_socketpair, vec![equal(0, AF_UNIX)?, masked(1, 0xF, SOCK_SEQPACKET)?])?;
        // Limits can be read and not set, this process's least of all.
        only(libc::SYS_prlimit64, vec![SeccompCondition::new(2, Qword, Eq, 0)?])?;
        // Code comes from the program's file, or from its libraries' files.
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            let code = if needs.libraries { 0 } else { PROT_EXEC };
            only(call, vec![none_of(2, code)?])?;
        }
        if needs.libraries {
            let writing = O_ACCMODE | O_CREAT | O_TRUNC;
            only(libc::SYS_openat, vec![none_of(2, writing)?])?;
            #[cfg(target_arch = "x86_64")]
            only(libc::SYS_open, vec![none_of(1, writing)?])?;
        }
        if needs.network {
            only(libc::SYS_socket, vec![equal(0, AF_INET)?, masked(1, 0xF, SOCK_STREAM)?])?;
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

    /// An argument of 32 bits as the filter sees it.
    fn bits(value: i32) -> u64 {
        u64::from(value.cast_unsigned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header, and program headers of these types.
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
    fn a_static_program_is_known_by_its_headers() {
        assert!(is_static(&elf(&[1, 1, 6])));
        assert!(!is_static(&elf(&[6, 3, 1])));
        // In doubt it is let open its libraries.
        assert!(!is_static(&elf(&[])));
        assert!(!is_static(&elf(&[1, 1])[..150]));
        assert!(!is_static(b"#!/bin/sh\n"));
        assert!(!is_static(b""));
        let mut far = elf(&[1]);
        far[32..40].fill(0xFF);
        assert!(!is_static(&far));
        assert!(!Needs::of(Path::new("/nowhere/ffmpeg"), false).network);
        assert!(Needs::of(Path::new("/nowhere/ffmpeg"), false).libraries);
    }

    /// How the child ends, and what it says.
    #[cfg(target_os = "linux")]
    async fn run(program: &str, args: &[&str], needs: Needs) -> (bool, String) {
        let mut command = Command::new(program);
        let null = std::process::Stdio::from(File::open("/dev/null").unwrap());
        command.args(args).stdin(null).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        let output = spawn(command, needs).unwrap().wait_with_output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn files_are_read_only_and_only_with_libraries() {
        let path = format!("/tmp/upreel-sandbox-{}", uuid::Uuid::new_v4());
        let libraries = Needs { network: false, libraries: true };
        let (ended, said) = run("/bin/cat", &["/proc/self/status"], libraries).await;
        assert!(ended && said.contains("Seccomp:\t2") && said.contains("NoNewPrivs:\t1"), "{said}");
        for mode in [">", ">>", "<>"] {
            let (ended, said) = run("/bin/sh", &["-c", &format!("echo x {mode} {path}")], libraries).await;
            assert!(!ended && said.contains("not permitted"), "{mode} {said}");
            assert!(!Path::new(&path).exists());
        }
        // The loader is the first to open a file.
        let strict = Needs { network: false, libraries: false };
        let (ended, said) = run("/bin/cat", &["/proc/self/status"], strict).await;
        assert!(!ended && said.contains("error while loading shared libraries"), "{said}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn sockets_are_for_streams_and_only_with_network() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for (network, kind, possible) in
            [(true, "tcp", true), (true, "udp", false), (false, "tcp", false), (false, "udp", false)]
        {
            let text = format!("exec 3<>/dev/{kind}/127.0.0.1/{port} && echo made");
            let (_, said) = run("/bin/bash", &["-c", &text], Needs { network, libraries: true }).await;
            assert_eq!(said.contains("made"), possible, "{network} {kind} {said}");
            assert_eq!(said.contains("not permitted"), !possible, "{network} {kind} {said}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_parent_is_out_of_reach() {
        let needs = Needs { network: true, libraries: true };
        for text in ["kill -9 $PPID", "ulimit -n 8", "unshare -U true"] {
            let (ended, said) = run("/bin/bash", &["-c", text], needs).await;
            assert!(!ended && said.contains("not permitted"), "{text}: {said}");
        }
    }
}
