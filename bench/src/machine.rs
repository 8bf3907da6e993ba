//! Describes the machine and the versions of a benchmark run.

use std::fs;
use std::process::Command;
use std::time::SystemTime;

use crate::BoxError;

/// Returns date, commit, command, processor, kernel, load and compiler. Changes of the file `report` don't mark the
/// commit as changed.
pub(crate) fn here(command: &str, report: &str) -> Result<String, BoxError> {
    let date = humantime::format_rfc3339_seconds(SystemTime::now());
    let cores = std::thread::available_parallelism()?;
    let processor = fs::read_to_string("/proc/cpuinfo")?;
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let processor = processor.map_or("unknown", |(_, name)| name.trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = kernel.trim();
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let commit = first_line(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
    let report = format!(":!/{report}");
    let unchanged = Command::new("git").args(["diff", "--quiet", "HEAD", "--", ":/", &report]).status();
    let changed = if unchanged.is_ok_and(|status| status.success()) { "" } else { " with changes" };
    let rustc = first_line(Command::new("rustc").arg("--version"));
    Ok(format!(
        "{date}, commit {commit}{changed}, command `{command}`. {cores} cores of {processor}, Linux {kernel}, load {load}; \
         {rustc}"
    ))
}

/// Runs a program, and returns the first line of its output without the copyright notice.
pub(crate) fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output);
    let line = text.lines().next().unwrap_or("unknown");
    line.split(" Copyright").next().unwrap_or_default().trim().to_owned()
}
