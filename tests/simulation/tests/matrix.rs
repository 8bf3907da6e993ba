//! The fault matrix: each 199th case by default, each third in `make test`, and all with `SHARE=1`.
//!
//! `FLOW` limits it to the flows with this text in their names, and `CASE` prints the traces of the
//! cases with this text in theirs.

#![expect(clippy::print_stdout, reason = "the output is for people")]

use std::collections::BTreeMap;

use upreel_simulation::{Case, Flow, parallel, setting, text};

#[test]
fn fault_matrix() {
    let wanted = |variable: &str, name: &str| text(variable).is_some_and(|text| name.contains(&text));
    let all_flows = text("FLOW").is_none();
    let mut bad: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut total = 0;
    for flow in Flow::all().into_iter().filter(|flow| all_flows || wanted("FLOW", flow.name)) {
        let (baseline, cases) = flow.cases();
        if !baseline.violations.is_empty() {
            println!("{}\n{}", flow.name, baseline.trace.join("\n"));
            bad.entry(flow.name).or_default().push(format!("without a fault: {:?}", baseline.violations));
            continue;
        }
        let share = usize::try_from(setting("SHARE", 199)).unwrap_or(1);
        let cases: Vec<Case> = cases.into_iter().step_by(share).collect();
        let run = |case: Case| {
            let name = case.name();
            let report = case.run(wanted("CASE", &name))?;
            Some((name, report))
        };
        let reports: Vec<_> = parallel(&cases, run).into_iter().flatten().collect();
        total += reports.len();
        let failed = reports.iter().filter(|(_, report)| !report.violations.is_empty());
        let failed: Vec<String> =
            failed.map(|(name, report)| format!("{name}: {:?}", report.violations)).collect();
        println!(
            "{}: {} calls, {} cases, {} violations",
            flow.name,
            baseline.calls,
            reports.len(),
            failed.len()
        );
        for (name, report) in reports.iter().filter(|(_, report)| !report.trace.is_empty()) {
            println!("{name}\n{}\n{:?}", report.trace.join("\n"), report.violations);
        }
        bad.entry(flow.name).or_default().extend(failed);
    }
    let count: usize = bad.values().map(Vec::len).sum();
    println!("{total} cases, {count} violations");
    for failed in bad.values().flatten() {
        println!("{failed}");
    }
    assert_eq!(count, 0, "{count} of {total} cases violate an invariant");
}
