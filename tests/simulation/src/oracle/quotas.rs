//! Quotas: a user's account is the sum over the user's rows at any time, and never above a limit.

use serde_json::Value;

use crate::dynamodb::Item;
use crate::oracle::{error_code, text};
use crate::s3::UPLOADS;
use crate::world::{Quotas, World};

const ACCOUNT: &str = "usage#user";

fn number(value: &Value) -> u64 {
    value["N"].as_str().and_then(|number| number.parse().ok()).unwrap_or_default()
}

impl World {
    pub(crate) fn check_account(&self) {
        let limits = self.settings.quotas.limits();
        let services = self.network.services();
        let rows = &services.table.rows;
        let account = rows.get(ACCOUNT).cloned().unwrap_or_default();
        let counted: Vec<&Value> = rows.values().filter_map(|row| Some(&row.get("counted")?["M"])).collect();
        let of = |name: &str| account.get(name).map_or(0, number);
        let used = [of("bytes"), of("videos"), of("uploads")];
        let bytes: u64 = counted.iter().map(|it| number(&it["bytes"])).sum();
        let uploads = counted.iter().filter(|it| it["until"].is_object()).count();
        let sum = [bytes, counted.len() as u64, uploads as u64];
        let is_over = counted.iter().any(|it| it["over"].is_object());
        drop(services);
        if used != sum {
            self.violation(&format!("the account has {used:?}, but the sum of the rows is {sum:?}"));
        }
        let limits = [limits.bytes, limits.videos, limits.uploads];
        if is_over || used.iter().zip(limits).any(|(used, limit)| limit.is_none_or(|limit| *used > limit)) {
            let is_off = self.settings.quotas == Quotas::Off && used == [0; 3];
            if !is_off {
                self.violation(&format!("the account has {used:?} of {limits:?}"));
            }
        }
    }

    /// At the end, each row counts its object.
    pub(crate) fn check_counted(&self, id: &str, row: &Item) {
        let row = Value::Object(row.clone());
        let counted = &row["counted"]["M"];
        let size = self.network.services().s3.body(UPLOADS, text(&row, "key")).map(|body| body.len() as u64);
        let is_on = self.settings.quotas != Quotas::Off;
        let is_live = matches!(text(&row, "status"), "PROCESSED" | "FAILED");
        let expected = (is_on && is_live).then(|| size.unwrap_or_default());
        let found = counted.is_object().then(|| number(&counted["bytes"]));
        if found != expected || counted["until"].is_object() {
            let code = error_code(&row);
            self.violation(&format!("{id} counts {counted}, but its object has {size:?} bytes ({code})"));
        }
    }
}
