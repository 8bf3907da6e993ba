//! The fault matrix: each call of each flow with each fault. The calls of the reconciler and of the retries count too.

use upreel_core::Checks;

use crate::clients::{Script, Step, Upload};
use crate::faults::{Fault, Plan};
use crate::schedule::{Report, run};
use crate::world::{Quotas, Settings};

/// A flow: what a client does in a world without other mishaps.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
pub struct Flow {
    /// The name.
    pub name: &'static str,
    script: Script,
    transcodes: bool,
    watched: bool,
    webhooks: bool,
    loses_events: bool,
    quotas: Quotas,
    checks: Checks,
}

/// A call of a flow with a fault.
#[derive(Debug, Clone)]
pub struct Case {
    flow: Flow,
    call: usize,
    label: String,
    fault: Fault,
}

impl Flow {
    fn new(name: &'static str, upload: Upload, then: &[Step]) -> Self {
        let script = Script { upload, is_video: true, is_long: false, parts: 1, then: then.to_vec() };
        Self {
            name,
            script,
            transcodes: false,
            watched: false,
            webhooks: false,
            loses_events: false,
            quotas: Quotas::Off,
            checks: Checks::default(),
        }
    }

    fn transcoded(self) -> Self {
        Self { transcodes: true, ..self }
    }

    /// Renditions are encoded when they are watched.
    fn watched(self) -> Self {
        Self { transcodes: true, watched: true, ..self }
    }

    fn limited(self) -> Self {
        Self { quotas: Quotas::Tight, ..self }
    }

    fn long(self) -> Self {
        self.with(|script| script.is_long = true)
    }

    fn with(mut self, change: impl FnOnce(&mut Script)) -> Self {
        change(&mut self.script);
        self
    }

    /// Every flow.
    #[must_use]
    pub fn all() -> Vec<Self> {
        use Step::{
            Caption, Choose, Delete, Expire, Image, Keep, Play, Read, RemoveCaptions, Rename, UploadAgain,
            Wait, Watch,
        };
        let delete = [Wait(3), Delete];
        vec![
            Self::new("upload", Upload::Api, &[Read]),
            Self::new("idempotent upload", Upload::Idempotent, &[]),
            Self::new("presigned PUT", Upload::Put, &[]),
            Self::new("POST form", Upload::Form, &[]),
            Self::new("multipart", Upload::Multipart, &[]),
            Self::new("upload again", Upload::Put, &[UploadAgain]),
            Self::new("upload again, transcoded", Upload::Put, &[Wait(1), UploadAgain]).transcoded(),
            Self::new("delete", Upload::Put, &delete),
            Self::new("delete during processing", Upload::Put, &[Delete]),
            Self::new("delete, transcoded", Upload::Api, &delete).transcoded(),
            Self::new("upload after deletion", Upload::Put, &[Wait(1), Delete, UploadAgain]),
            Self::new("transcode", Upload::Api, &[]).transcoded(),
            Self::new("transcode in chunks", Upload::Api, &[]).transcoded().long(),
            Self::new("multipart, 3 parts", Upload::Multipart, &[]).with(|script| script.parts = 3),
            Self { webhooks: true, ..Self::new("webhook", Upload::Put, &delete) },
            Self { loses_events: true, ..Self::new("lost event", Upload::Api, &[]) },
            Self { loses_events: true, ..Self::new("lost event of a PUT", Upload::Put, &[]).transcoded() },
            Self::new("play", Upload::Put, &[Wait(3), Play, Play]).long(),
            Self::new(
                "play after an upload",
                Upload::Put,
                &[Wait(3), Play, UploadAgain, Play, Wait(3), Play],
            )
            .long(),
            Self::new("play after a deletion", Upload::Put, &[Wait(3), Play, Delete, Play]).long(),
            Self::new("watch", Upload::Put, &[Wait(3), Watch(1), Wait(30), Watch(1)]).long().watched(),
            Self::new("watch without an index", Upload::Put, &[Wait(3), Watch(1), Wait(30), Watch(1)])
                .watched(),
            Self::new(
                "watch after an upload",
                Upload::Put,
                &[Wait(3), Watch(1), UploadAgain, Wait(3), Watch(1), Wait(30), Watch(1)],
            )
            .long()
            .watched(),
            Self::new("watch and delete", Upload::Put, &[Wait(3), Watch(1), Wait(1), Delete])
                .long()
                .watched(),
            Self::new(
                "images of two uploads",
                Upload::Put,
                &[Wait(3), Image, Image, UploadAgain, Wait(3), Image],
            ),
            Self::new("image and delete", Upload::Put, &[Wait(3), Image, Delete, Image]),
            Self::new(
                "choose posters",
                Upload::Put,
                &[Wait(3), Choose, Choose, UploadAgain, Choose, Wait(3), Choose],
            ),
            Self::new("choose and delete", Upload::Put, &[Wait(3), Choose, Delete, Choose]),
            Self::new("do not watch", Upload::Put, &[Wait(3), Play]).long().watched(),
            Self::new("rename during processing", Upload::Put, &[Rename, UploadAgain, Rename]),
            Self::new("expire", Upload::Put, &[Expire(30), Rename]),
            Self::new("expire during processing", Upload::Put, &[Expire(1), UploadAgain]),
            Self::new("expire and keep", Upload::Put, &[Expire(60), Keep, Rename]),
            Self::new("captions", Upload::Put, &[Wait(3), Caption, Caption, UploadAgain]),
            Self::new("captions during processing", Upload::Put, &[Caption, Rename, RemoveCaptions]),
            Self::new("captions and delete", Upload::Put, &[Caption, Wait(3), Delete, Caption]),
            Self {
                checks: Checks { scan: true, moderation: true },
                ..Self::new("held until checked", Upload::Put, &[Read, UploadAgain, Read])
            },
            Self::new("not a video", Upload::Put, &[]).with(|script| script.is_video = false),
            Self::new("quotas, upload and delete", Upload::Idempotent, &[Read, Wait(3), Delete]).limited(),
            Self::new("quotas, upload again", Upload::Put, &[UploadAgain]).limited(),
            Self::new("quotas, multipart", Upload::Multipart, &[]).limited(),
            Self { loses_events: true, ..Self::new("quotas, lost event", Upload::Form, &[]).limited() },
        ]
    }

    fn run(&self, plan: Plan, trace: bool) -> Report {
        let settings = Settings {
            checks: self.checks,
            seed: 1,
            skew: 0,
            plan,
            transcodes: self.transcodes,
            watched: self.watched,
            webhooks: self.webhooks,
            chaos: false,
            loses_events: self.loses_events,
            quotas: self.quotas,
            trace,
        };
        run(settings, vec![self.script.clone()])
    }

    /// Returns the report of the flow without a fault, and every case.
    #[must_use]
    pub fn cases(&self) -> (Report, Vec<Case>) {
        let report = self.run(Plan::Calm, true);
        let calls = report.labels.iter().enumerate();
        let cases = calls.flat_map(|(call, label)| {
            let case = move |fault| Case { flow: self.clone(), call, label: label.clone(), fault };
            Fault::ALL.into_iter().map(case)
        });
        let cases = cases.collect();
        (report, cases)
    }
}

impl Case {
    /// Runs the case. `None` if the call cannot have the fault.
    #[must_use]
    pub fn run(&self, trace: bool) -> Option<Report> {
        let report = self.flow.run(Plan::At(self.call, self.fault), trace);
        (report.faults > 0).then_some(report)
    }

    /// Describes the case.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}, call {} ({}) <- {:?}", self.flow.name, self.call, self.label, self.fault)
    }
}
