//! The table's conditional writes against the table of transitions in `upreel_core::transition`.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use upreel_core::playback::Playback;
use upreel_core::transcode::{Renditions, Run, Transcode};
use upreel_core::transition::{Refusal, State, Transition};
use upreel_core::video::Record;
use upreel_core::{Details, Failure, Key, Sequencer, Status, UserId, VideoId};
use upreel_function::App;
use upreel_store::videos::{Attention, Claim, Processed, UpdateOutcome};

use crate::harness::Backend;

struct Row {
    app: App,
    key: Key,
    user: UserId,
    id: VideoId,
}

impl Row {
    async fn create(app: &App) -> Self {
        let (id, user): (_, UserId) = (VideoId::new(), "model".parse().unwrap());
        let key = Key::Video { user: user.clone(), id, container: None };
        app.videos
            .create(&key, (user.clone(), "a".into(), "b".into()), None, &Details::default())
            .await
            .unwrap();
        Self { app: app.clone(), key, user, id }
    }

    async fn get(&self) -> Record {
        self.app.videos.get(self.id).await.unwrap().unwrap()
    }

    /// Performs a transition. Returns what the store says about a refused one.
    async fn perform(&self, transition: Transition, event: u8) -> Result<(), Refusal> {
        let (videos, id, sequencer, object) = (&self.app.videos, self.id, sequencer(event), (7, "e"));
        let outcome = match transition {
            Transition::Upload => {
                let before = self.get().await;
                videos.mark_uploaded(id).await.unwrap();
                return match (before.video.status, self.get().await == before) {
                    (Status::Pending, false) => Ok(()),
                    (Status::Deleted, true) => Err(Refusal::Deleted),
                    (_, true) => Err(Refusal::Superseded),
                    (status, false) => panic!("{status:?} has changed"),
                };
            }
            Transition::Claim => {
                return match videos.claim(&self.key, &self.user, &sequencer, object).await.unwrap() {
                    Claim::Granted(_) => Ok(()),
                    Claim::Held(_) | Claim::Stale(_) => Err(Refusal::Superseded),
                    Claim::Deleted => Err(Refusal::Deleted),
                    Claim::Missing => Err(Refusal::Missing),
                };
            }
            Transition::Hold => {
                let before = self.get().await;
                let held = videos.hold(&self.key, &self.user, &sequencer, object).await.unwrap();
                return match held {
                    Claim::Held(record) if *record == before => Err(Refusal::Superseded),
                    Claim::Held(_) => Ok(()),
                    Claim::Stale(_) => Err(Refusal::Superseded),
                    Claim::Deleted => Err(Refusal::Deleted),
                    Claim::Granted(_) | Claim::Missing => panic!("{held:?}"),
                };
            }
            Transition::Refuse => {
                let failure = Failure::new(Failure::INFECTED, "x");
                videos.refuse(id, &sequencer, ((1, "e"), &failure), false).await.unwrap()
            }
            Transition::Play => videos.mark_playable(id, &sequencer, object, &Playback::hls()).await.unwrap(),
            Transition::Process => {
                let processed = Processed { incomplete: true, ..Processed::default() };
                videos.mark_processed(id, &sequencer, &processed, false).await.unwrap()
            }
            Transition::Fail => {
                let failure = Failure::new(Failure::UNREADABLE, "x");
                videos.mark_failed(id, &sequencer, ((1, "e"), &failure), false).await.unwrap()
            }
            Transition::GiveUp => {
                videos.give_up(&self.key, &self.user, &sequencer, object, (0, true)).await.unwrap()
            }
            Transition::Lose => videos.mark_lost(id, false).await.unwrap(),
            Transition::Abandon => videos.abandon(id, &Failure::fetch()).await.unwrap(),
            Transition::Complete => videos.complete(id, &sequencer, None, None).await.unwrap(),
            Transition::Delete => {
                videos.delete(id, &self.user).await.unwrap().unwrap();
                UpdateOutcome::Recorded
            }
        };
        match outcome {
            UpdateOutcome::Recorded => Ok(()),
            UpdateOutcome::Superseded => Err(Refusal::Superseded),
            UpdateOutcome::Deleted => Err(Refusal::Deleted),
        }
    }
}

fn sequencer(event: u8) -> Sequencer {
    format!("{event:02X}").parse().unwrap()
}

#[test]
fn rows_follow_the_table_of_transitions_after_any_steps() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let backend = runtime.block_on(Backend::start());
    let app = &backend.local.app;
    let steps = prop::collection::vec((prop::sample::select(&Transition::ALL[..]), 1..4_u8), 1..20);
    let config = ProptestConfig { cases: 120, failure_persistence: None, ..Default::default() };
    TestRunner::new(config)
        .run(&steps, |steps| {
            runtime.block_on(async {
                let row = Row::create(app).await;
                let mut model: State<Sequencer> = State::pending();
                for (transition, event) in steps {
                    let event = sequencer(event);
                    let expected = transition.check(Some(&model), Some(&event));
                    let number = u8::from_str_radix(&event.as_str()[..2], 16).unwrap();
                    assert_eq!(
                        row.perform(transition, number).await,
                        expected,
                        "{transition:?} {event} {model:?}"
                    );
                    if expected.is_ok() {
                        transition.apply(&mut model, Some(&event));
                    }
                    let record = row.get().await;
                    assert_eq!(record.state(), model, "{transition:?}");
                    assert_eq!(record.due.is_some(), record.shard.is_some());
                    // Rows that wait are examined, and a video never expires.
                    let waits = !record.video.status.is_final() || record.is_in_progress();
                    assert!(!waits || record.due.is_some(), "{transition:?} {record:?}");
                    let expires = matches!(record.video.status, Status::Pending | Status::Deleted);
                    assert_eq!(record.ttl.is_some(), expires, "{transition:?}");
                }
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn row_is_taken_by_one_sweep() {
    let backend = Backend::start().await;
    let row = Row::create(&backend.local.app).await;
    let record = row.get().await;
    let videos = &row.app.videos;
    let hour = Some(std::time::Duration::from_hours(1));
    assert!(videos.postpone(&record, hour, Attention::None).await.unwrap());
    let day = Some(std::time::Duration::from_hours(24));
    assert!(
        !videos.postpone(&record, day, Attention::None).await.unwrap(),
        "the row has changed since it was read"
    );
    let record = row.get().await;
    assert!(videos.postpone(&record, None, Attention::None).await.unwrap());
    let record = row.get().await;
    assert_eq!((record.due, record.shard), (None, None));
}

#[tokio::test]
async fn claim_removes_what_describes_an_earlier_object() {
    let backend = Backend::start().await;
    let row = Row::create(&backend.local.app).await;
    row.perform(Transition::Claim, 1).await.unwrap();
    row.perform(Transition::Process, 1).await.unwrap();
    let old = row.get().await;
    row.perform(Transition::Claim, 2).await.unwrap();
    let new = row.get().await;
    assert!(old.incomplete && !new.incomplete);
    assert_eq!((new.sequencer.as_ref(), new.etag.as_deref()), (Some(&sequencer(2)), Some("e")));
    assert_eq!(new.superseded(), [&sequencer(1)]);
}

/// Returns the run of the whole ladder for an event.
fn run(id: VideoId, event: u8) -> Run {
    Run { video_id: id, key: "key".to_owned(), sequencer: sequencer(event), rung: None }
}

#[tokio::test]
async fn rungs_are_wanted_once_and_published_together() {
    let backend = Backend::start().await;
    let row = Row::create(&backend.local.app).await;
    let (videos, id) = (&row.app.videos, row.id);
    row.perform(Transition::Claim, 1).await.unwrap();
    let of = |name: &str| Run { rung: Some(name.to_owned()), ..run(id, 1) };
    let offered = |name: &str| (name.to_owned(), Transcode::offered(sequencer(1)));
    let rungs = Some(["v360", "v720"].map(offered).into());
    let processed = Processed { renditions: Renditions { transcode: None, rungs }, ..Processed::default() };
    videos.mark_processed(id, &sequencer(1), &processed, false).await.unwrap();
    assert_eq!(row.get().await.due, None, "nothing waits");
    for name in ["v360", "v720"] {
        let early = videos.mark_transcode_started(&of(name), 2, None).await.unwrap();
        assert_eq!(early, UpdateOutcome::Superseded, "nobody wants it");
        assert_eq!(videos.mark_transcode_wanted(&of(name), 5).await.unwrap(), UpdateOutcome::Recorded);
        assert_eq!(videos.mark_transcode_wanted(&of(name), 6).await.unwrap(), UpdateOutcome::Superseded);
        let wanted = row.get().await.rungs.unwrap()[name].clone();
        let started = videos.mark_transcode_started(&of(name), 2, Some(&wanted)).await.unwrap();
        assert_eq!(started, UpdateOutcome::Recorded);
        let started = row.get().await.rungs.unwrap()[name].clone();
        assert_eq!((started.from, started.chunks), (5, 2), "the first position stays");
    }
    assert!(row.get().await.due.is_some());
    assert_eq!(videos.mark_transcode_wanted(&of("v999"), 0).await.unwrap(), UpdateOutcome::Superseded);
    for (name, chunk) in [("v720", "a-0001"), ("v720", "a-0000"), ("v720", "a-0001"), ("v360", "b-0000")] {
        assert_eq!(videos.mark_chunk_encoded(&of(name), (0, chunk)).await.unwrap(), UpdateOutcome::Recorded);
    }
    let before = row.get().await;
    assert_eq!(before.stored_chunks("v720").collect::<Vec<_>>(), ["v720/a-0000", "v720/a-0001"]);
    assert!(before.has_segment("v720", "a-0001-07.mp4") && !before.has_segment("v360", "a-0001-07.mp4"));
    assert_eq!(videos.mark_rung_encoded(&of("v720"), &before).await.unwrap(), UpdateOutcome::Recorded);
    let late = videos.mark_chunk_encoded(&of("v720"), (0, "a-0001")).await.unwrap();
    assert_eq!(late, UpdateOutcome::Superseded, "it is complete");
    assert_eq!(row.get().await.rung_chunks, ["v360/b-0000".to_owned()].into());
    let late = videos.mark_rung_encoded(&of("v360"), &before).await.unwrap();
    assert_eq!(late, UpdateOutcome::Superseded, "its playlist lacks the other rung");
    let now = row.get().await;
    assert_eq!(now.master(), "master-v720.m3u8");
    videos.mark_transcode_failed(&of("v360"), &Failure::internal(), None).await.unwrap();
    assert_eq!(videos.mark_transcode_started(&of("v360"), 2, None).await.unwrap(), UpdateOutcome::Recorded);
    assert_eq!(
        videos.mark_rung_encoded(&of("v360"), &row.get().await).await.unwrap(),
        UpdateOutcome::Recorded
    );
    assert_eq!(row.get().await.master(), "master-v360-v720.m3u8");
    let done = videos.mark_transcode_failed(&of("v360"), &Failure::internal(), None).await.unwrap();
    assert_eq!(done, UpdateOutcome::Superseded);
    row.perform(Transition::Claim, 2).await.unwrap();
    let new = row.get().await;
    assert!(new.rungs.is_none() && new.rung_chunks.is_empty(), "of another upload");
    assert_eq!(videos.mark_transcode_wanted(&of("v360"), 0).await.unwrap(), UpdateOutcome::Superseded);
}

#[tokio::test]
async fn transcode_belongs_to_one_run() {
    let backend = Backend::start().await;
    let row = Row::create(&backend.local.app).await;
    let (videos, id, runs) = (&row.app.videos, row.id, [1, 2].map(|event| run(row.id, event)));
    for (event, run) in [1, 2].into_iter().zip(&runs) {
        row.perform(Transition::Claim, event).await.unwrap();
        let transcode = Some(Transcode::waiting(run.sequencer.clone()));
        let renditions = Renditions { transcode, rungs: None };
        let processed = Processed { renditions, ..Processed::default() };
        let outcome = videos.mark_processed(id, &run.sequencer, &processed, false).await.unwrap();
        assert_eq!(outcome, UpdateOutcome::Recorded);
        let outcome = videos.mark_transcode_started(run, 2, None).await.unwrap();
        assert_eq!(outcome, UpdateOutcome::Recorded);
    }
    let before = row.get().await;
    let [old, new] = &runs;
    for outcome in [
        videos.mark_transcode_started(old, 3, None).await,
        videos.mark_chunk_encoded(old, (0, "0000")).await,
        videos.mark_transcoded(old).await,
        videos.mark_transcode_failed(old, &Failure::internal(), None).await,
    ] {
        assert_eq!(outcome.unwrap(), UpdateOutcome::Superseded);
    }
    assert_eq!(row.get().await, before);
    videos.mark_chunk_encoded(new, (1, "0001")).await.unwrap();
    assert_eq!(row.get().await.transcode_chunks, [1]);
}

#[tokio::test]
async fn transcode_that_a_fault_ended_is_examined() {
    let backend = Backend::start().await;
    let row = Row::create(&backend.local.app).await;
    let (videos, id, run) = (&row.app.videos, row.id, run(row.id, 1));
    row.perform(Transition::Claim, 1).await.unwrap();
    // It was processed without transcoding, so the row is not examined.
    videos.mark_processed(id, &run.sequencer, &Processed::default(), false).await.unwrap();
    assert_eq!(row.get().await.due, None);
    let before = Transcode { restarts: 2, ..Transcode::waiting(sequencer(1)) };
    videos.mark_transcode_failed(&run, &Failure::internal(), Some(&before)).await.unwrap();
    assert!(row.get().await.due.is_some());
    let outcome = videos.mark_transcode_started(&run, 3, Some(&before)).await.unwrap();
    assert_eq!(outcome, UpdateOutcome::Recorded, "a restart");
    assert_eq!(row.get().await.transcode.unwrap().restarts, 2);
}
