//! The start of a real function program.

use std::process::Command;

#[test]
fn a_failed_start_is_one_json_line_that_names_the_setting() {
    let output = Command::new(env!("CARGO_BIN_EXE_presign")).env_remove("TABLE_NAME").output();
    let output = output.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let [line] = lines[..] else { panic!("{lines:?}") };
    let line: serde_json::Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["message"], "function cannot run");
    assert_eq!(line["fault"], "the environment variable TABLE_NAME is not set");
}
