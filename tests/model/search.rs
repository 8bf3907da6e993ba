//! Breadth-first search over all states that can be reached.

use std::time::Instant;

use foldhash::fast::FixedState;
use indexmap::IndexSet;

use crate::invariants::{check_at_rest, check_step};
use crate::steps::Steps;
use crate::world::{Config, World};

/// The result of a search.
pub(crate) struct Report {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    /// The states in which nothing moves any more, unless a client does something.
    pub(crate) at_rest: usize,
    pub(crate) seconds: f64,
    pub(crate) violation: Option<Violation>,
}

pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    /// A shortest sequence of steps that ends with the violation, and the last state.
    pub(crate) trace: Vec<String>,
}

/// Visits every state. Stops at the first violation; no other one has a shorter trace.
pub(crate) fn explore(config: &Config) -> Report {
    let start = Instant::now();
    let mut seen = IndexSet::with_hasher(FixedState::default());
    seen.insert(World::new(config));
    // For each state, the state before it, and the end of its list of next states.
    let mut parents = vec![0_u32];
    let (mut ends, mut edges): (Vec<usize>, Vec<u32>) = (Vec::new(), Vec::new());
    let (mut at_rest, mut found) = (0, None);
    while let Some(before) = seen.get_index(ends.len()).cloned() {
        let steps = Steps::new(config, &before);
        if !steps.is_active {
            at_rest += 1;
            found = check_at_rest(config, &before).map(|invariant| (invariant, before.clone()));
        }
        for (_, after) in steps.next {
            if let (None, Some(invariant)) = (&found, check_step(config, &before, &after)) {
                found = Some((invariant, after.clone()));
            }
            let (index, is_new) = seen.insert_full(after);
            if is_new {
                parents.push(number(ends.len()));
            }
            edges.push(number(index));
        }
        ends.push(edges.len());
        if found.is_some() {
            break;
        }
    }
    let violation = match found {
        Some((invariant, last)) => {
            let index = seen.get_index_of(&last).unwrap_or_default();
            Some(Violation { invariant, trace: trace(config, &seen, &parents, index) })
        }
        None => find_cycle(&ends, &edges).map(|index| Violation {
            invariant: "the processes never come to rest",
            trace: trace(config, &seen, &parents, index),
        }),
    };
    let seconds = start.elapsed().as_secs_f64();
    Report { states: seen.len(), transitions: edges.len(), at_rest, seconds, violation }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or_else(|_| panic!("too many states"))
}

/// Returns a state from which the same state can be reached again, so that the processes could go on for ever. Removes
/// states without an unvisited predecessor until only cycles, and what follows them, are left.
fn find_cycle(ends: &[usize], edges: &[u32]) -> Option<usize> {
    let next = |index: usize| &edges[if index == 0 { 0 } else { ends[index - 1] }..ends[index]];
    let mut predecessors = vec![0_u32; ends.len()];
    for to in edges {
        predecessors[*to as usize] += 1;
    }
    let mut open: Vec<usize> = vec![0];
    let mut removed = 0;
    while let Some(index) = open.pop() {
        removed += 1;
        for to in next(index) {
            predecessors[*to as usize] -= 1;
            if predecessors[*to as usize] == 0 {
                open.push(*to as usize);
            }
        }
    }
    (removed < ends.len()).then(|| predecessors.iter().position(|count| *count > 0).unwrap_or_default())
}

/// Describes the steps to a state.
fn trace(config: &Config, seen: &IndexSet<World, FixedState>, parents: &[u32], index: usize) -> Vec<String> {
    let mut path = vec![index];
    while let Some(first) = path.last().copied().filter(|first| *first > 0) {
        path.push(parents[first] as usize);
    }
    path.reverse();
    let mut trace = Vec::new();
    for pair in path.windows(2) {
        if let (Some(before), Some(after)) = (seen.get_index(pair[0]), seen.get_index(pair[1])) {
            let step = Steps::new(config, before).next.into_iter().find(|(_, to)| to == after);
            trace.extend(step.map(|(label, _)| label.to_string()));
        }
    }
    trace.extend(seen.get_index(index).map(|world| format!("{world:?}")));
    trace
}
