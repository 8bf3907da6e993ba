//! What users say about a video: `PATCH /videos/{videoId}`, the fields of an upload, searches, and the time of deletion.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use reqwest::multipart::{Form, Part};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use upreel_core::details::Expiry;
use upreel_core::{Details, Key, Sequencer, Status, VideoId};
use upreel_store::videos::{Changed, Processed};

use crate::harness::{Backend, mp4, problem, webm};

async fn patch(backend: &Backend, id: &str, change: &Value) -> Response {
    let url = format!("{}/videos/{id}", backend.local.api);
    backend.http.patch(url).json(change).send().await.unwrap()
}

/// Changes a video, and returns it.
async fn changed(backend: &Backend, id: &str, change: &Value) -> Value {
    let response = patch(backend, id, change).await;
    assert_eq!(response.status(), StatusCode::OK, "{change}");
    response.json().await.unwrap()
}

async fn pending(backend: &Backend) -> String {
    backend.presign(&[("name", "a.mp4")]).await["videoId"].as_str().unwrap().to_owned()
}

/// Returns what the user said about the video.
fn details(video: &Value) -> Value {
    let names = ["title", "description", "tags", "metadata", "expiresAt"];
    names.iter().filter(|name| !video[**name].is_null()).map(|name| (*name, video[*name].clone())).collect()
}

fn in_future(seconds: u64) -> String {
    Expiry::at(SystemTime::now() + Duration::from_secs(seconds)).unwrap().to_string()
}

#[tokio::test]
async fn changes_are_merged_and_shown() {
    let backend = Backend::start().await;
    let id = pending(&backend).await;
    assert_eq!(details(&backend.video(&id).await), json!({}));
    let expires_at = in_future(3600);
    let change = json!({
        "title": " My holiday", "description": "a\r\nb", "tags": ["Sea", "family"], "metadata": {"k": "v", "l": "w"},
        "expiresAt": expires_at,
    });
    let expected = json!({
        "title": "My holiday", "description": "a\nb", "tags": ["Sea", "family"], "metadata": {"k": "v", "l": "w"},
        "expiresAt": expires_at,
    });
    assert_eq!(details(&changed(&backend, &id, &change).await), expected);
    assert_eq!(details(&backend.video(&id).await), expected);
    let list: Value = backend.get("/videos").send().await.unwrap().json().await.unwrap();
    assert_eq!(details(&list["videos"][0]), expected);
    for name in ["titleKey", "tagKeys", "expiryShard", "revision"] {
        assert_eq!(list["videos"][0][name], Value::Null, "{name} is internal");
    }
    let change = json!({"title": null, "tags": [], "metadata": {"k": null, "m": "x"}, "expiresAt": null});
    let expected = json!({"description": "a\nb", "metadata": {"l": "w", "m": "x"}});
    assert_eq!(details(&changed(&backend, &id, &change).await), expected);
    assert_eq!(
        details(&changed(&backend, &id, &json!({"metadata": null, "description": null})).await),
        json!({})
    );
}

#[tokio::test]
async fn invalid_changes_are_refused_and_change_nothing() {
    let backend = Backend::start().await;
    let id = pending(&backend).await;
    changed(&backend, &id, &json!({"title": "a"})).await;
    let before = backend.video(&id).await;
    for bad in [
        json!({"title": "b\u{1b}[31m"}),
        json!({"title": "x".repeat(201)}),
        json!({"title": ""}),
        json!({"title": 1}),
        json!({"description": "x".repeat(5001)}),
        json!({"tags": ["a", "A"]}),
        json!({"tags": vec!["a"; 11]}),
        json!({"metadata": {"k": "x".repeat(4090)}}),
        json!({"metadata": {"k": 1}}),
        json!({"expiresAt": "2020-01-01T00:00:00Z"}),
        json!({"expiresAt": "soon"}),
        json!({"title": "b", "status": "PROCESSED"}),
        json!({"title": "b", "userId": "eve"}),
        json!(["title"]),
        json!("title"),
        json!(null),
    ] {
        let found = problem(patch(&backend, &id, &bad).await).await;
        assert_eq!(found, (400, "INVALID_REQUEST".into()), "{bad}");
    }
    let url = format!("{}/videos/{id}", backend.local.api);
    let large = backend.http.patch(&url).body(vec![b' '; 3 << 20]).send().await.unwrap();
    assert_eq!(problem(large).await, (413, "TOO_LARGE".into()));
    assert_eq!(backend.video(&id).await, before);
    let eve =
        backend.http.patch(&url).header("x-user", "eve").json(&json!({"title": "b"})).send().await.unwrap();
    assert_eq!(problem(eve).await, (404, "NOT_FOUND".into()));
    let missing = patch(&backend, &VideoId::new().to_string(), &json!({"title": "b"})).await;
    assert_eq!(problem(missing).await, (404, "NOT_FOUND".into()));
    assert_eq!(backend.video(&id).await, before);
}

#[tokio::test]
async fn if_match_compares_changes_by_the_user() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    let url = format!("{}/videos/{id}", backend.local.api);
    let send = async |etag: &str, title: &str| {
        let request = backend.http.patch(&url).header("If-Match", etag).json(&json!({"title": title}));
        request.send().await.unwrap()
    };
    let etag = |response: &Response| response.headers()["etag"].to_str().unwrap().to_owned();
    let first = etag(&backend.get(&format!("/videos/{id}")).send().await.unwrap());
    // The status and the URLs change, but nothing that the user said.
    backend.put_to(&signed, mp4()).send().await.unwrap();
    backend.wait_for(id, "PROCESSED").await;
    let one = send(&first, "one").await;
    assert_eq!(one.status(), StatusCode::OK);
    let second = etag(&one);
    assert_eq!(problem(send(&first, "two").await).await, (412, "PRECONDITION_FAILED".into()));
    // The response to the first request was lost.
    let again = send(&first, "one").await;
    assert_eq!((again.status(), etag(&again)), (StatusCode::OK, second.clone()), "nothing was written");
    assert_eq!(send(&second, "two").await.status(), StatusCode::OK);
    assert_eq!(send("*", "three").await.status(), StatusCode::OK);
    for stale in [first.as_str(), second.as_str(), "\"x\"", "3", ""] {
        assert_eq!(send(stale, "four").await.status(), StatusCode::PRECONDITION_FAILED, "{stale}");
    }
    let video = backend.get(&format!("/videos/{id}")).send().await.unwrap();
    assert!(etag(&video).starts_with("\"3."));
    let same =
        backend.get(&format!("/videos/{id}")).header("If-None-Match", etag(&video)).send().await.unwrap();
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(video.json::<Value>().await.unwrap()["title"], "three");
}

#[tokio::test]
async fn concurrent_changes_lose_nothing() {
    let backend = Backend::start().await;
    let id = pending(&backend).await;
    let changes = (0..12).map(|n| json!({"metadata": {format!("k{n}"): n.to_string()}}));
    let changes: Vec<Value> = changes.chain([json!({"title": "a"}), json!({"tags": ["b"]})]).collect();
    let responses = join_all(changes.iter().map(|change| patch(&backend, &id, change))).await;
    assert!(responses.iter().all(|response| response.status() == StatusCode::OK));
    let video = backend.video(&id).await;
    assert_eq!((&video["title"], &video["tags"]), (&json!("a"), &json!(["b"])));
    assert_eq!(video["metadata"].as_object().unwrap().len(), 12, "{video}");

    // With the same entity tag, one of them succeeds.
    let url = format!("{}/videos/{id}", backend.local.api);
    let etag = backend.get(&format!("/videos/{id}")).send().await.unwrap().headers()["etag"].clone();
    let send = |n: usize| {
        let request = backend.http.patch(&url).header("If-Match", &etag);
        request.json(&json!({"title": format!("title {n}")})).send()
    };
    let responses = join_all((0..8).map(send)).await;
    let statuses: Vec<u16> =
        responses.into_iter().map(|response| response.unwrap().status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 7, "{statuses:?}");
}

/// A change between any two transitions of the status leaves the status alone, and no transition touches the details.
#[tokio::test]
async fn changes_and_transitions_do_not_affect_each_other() {
    let backend = Backend::start().await;
    let videos = &backend.local.app.videos;
    let signed = backend.presign(&[("name", "a.mp4"), ("title", "0")]).await;
    let key: Key = signed["key"].as_str().unwrap().parse().unwrap();
    let (id, user) = (key.video_id(), "local".parse().unwrap());
    let sequencer: Sequencer = "01".parse().unwrap();
    for step in 0..5 {
        let before = videos.get(id).await.unwrap().unwrap();
        match step {
            0 => videos.mark_uploaded(id).await.unwrap(),
            1 => drop(videos.claim(&key, &user, &sequencer, (1, "e")).await.unwrap()),
            2 => drop(videos.mark_processed(id, &sequencer, &Processed::default(), false).await.unwrap()),
            3 => drop(videos.claim(&key, &user, &"02".parse().unwrap(), (2, "f")).await.unwrap()),
            _ => {
                videos.give_up(&key, &user, &"03".parse().unwrap(), (3, "g"), (0, false)).await.unwrap();
            }
        }
        let after = videos.get(id).await.unwrap().unwrap();
        assert_eq!((after.revision, &after.video.details), (before.revision, &before.video.details));
        // The change was read before the transition, and is written after it.
        let details = Details { title: Some(format!("{}", step + 1)), ..before.video.details.clone() };
        let Changed::Yes(changed) = videos.change_details(&before, &details).await.unwrap() else {
            panic!("the transition makes no conflict")
        };
        assert_eq!(changed.video.details, details);
        let transition = upreel_core::video::Record { revision: after.revision, ..(*changed).clone() };
        let mut expected = after.clone();
        expected.video.details = details;
        assert_eq!(transition, expected, "nothing else has changed");
    }
}

#[tokio::test]
async fn another_upload_keeps_the_details_and_a_deletion_removes_them() {
    let backend = Backend::start().await;
    let signed = backend.presign(&[("name", "a.mp4")]).await;
    let id = signed["videoId"].as_str().unwrap();
    backend.put_to(&signed, mp4()).send().await.unwrap();
    backend.wait_for(id, "PROCESSED").await;
    let change = json!({"title": "a", "tags": ["b"], "metadata": {"c": "d"}, "expiresAt": in_future(3600)});
    changed(&backend, id, &change).await;
    backend.put_to(&signed, webm()).send().await.unwrap();
    let video = loop {
        let video = backend.wait_for(id, "PROCESSED").await;
        if video["container"] == "webm" {
            break video;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(details(&video), change);

    let videos = &backend.local.app.videos;
    let before = videos.get(id.parse().unwrap()).await.unwrap().unwrap();
    videos.delete(id.parse().unwrap(), &"local".parse().unwrap()).await.unwrap().unwrap();
    assert!(matches!(
        videos.change_details(&before, &Details::default()).await.unwrap(),
        Changed::Conflict(Some(row)) if row.video.status == Status::Deleted
    ));
    assert_eq!(problem(patch(&backend, id, &json!({"title": "z"})).await).await, (404, "NOT_FOUND".into()));
    let get = backend.dynamodb().get_item().table_name("VideoMetadata");
    let key = aws_sdk_dynamodb::types::AttributeValue::S(id.to_owned());
    let row = get.key("videoId", key).send().await.unwrap().item.unwrap();
    for name in ["title", "tags", "metadata", "expiresAt", "titleKey", "tagKeys", "expiryShard", "revision"] {
        assert!(!row.contains_key(name), "{name} of a tombstone");
    }
}

#[tokio::test]
async fn uploads_can_say_something_about_the_video() {
    let backend = Backend::start().await;
    let given = json!({"title": "A", "tags": ["x", "y"], "metadata": {"k": "v"}});
    let of = async |id: &Value| details(&backend.video(id.as_str().unwrap()).await);

    let file = Part::bytes(mp4()).file_name("a.mp4");
    let form = Form::new().text("title", "A").text("tags", "x, y").text("metadata", "{\"k\": \"v\"}");
    let form = form.text("name", "a.mp4").text("unknown", "z").part("file", file);
    let uploaded: Value = backend.post("/upload").multipart(form).send().await.unwrap().json().await.unwrap();
    assert_eq!(of(&uploaded["videoId"]).await, given);

    let query = [("name", "a.mp4"), ("title", "A"), ("tags", "x,y"), ("metadata[k]", "v")];
    assert_eq!(of(&backend.presign(&query).await["videoId"]).await, given);

    let id_of = |key: &Value| {
        let key: Key = key.as_str().unwrap().parse().unwrap();
        json!(key.video_id())
    };
    let body = json!({"method": "PUT", "name": "a.mp4", "title": "A", "tags": ["x", "y"], "metadata": {"k": "v"}, "size": 5});
    let signed: Value = backend.post("/presign").json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(of(&id_of(&signed["key"])).await, given);

    // What Uppy sends.
    let meta = json!({"name": "a.mp4", "type": "video/mp4", "relativePath": null, "title": "A", "tags": "x,y", "k": "v"});
    let body = json!({"filename": "a.mp4", "type": "video/mp4", "metadata": meta});
    let created: Value =
        backend.post("/s3/multipart").json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(of(&id_of(&created["key"])).await, given);
    let query = [
        ("filename", "a.mp4"),
        ("type", "video/mp4"),
        ("size", "5"),
        ("metadata[name]", "a.mp4"),
        ("metadata[title]", "A"),
        ("metadata[tags]", "x,y"),
        ("metadata[k]", "v"),
    ];
    let form: Value = backend.get("/s3/params").query(&query).send().await.unwrap().json().await.unwrap();
    assert_eq!(of(&id_of(&form["fields"]["key"])).await, given);

    let list = async || {
        let list: Value = backend.get("/videos").send().await.unwrap().json().await.unwrap();
        list["videos"].as_array().unwrap().len()
    };
    let before = list().await;
    let bad = [("name", "a.mp4"), ("title", "a\u{0}")];
    assert_eq!(problem(backend.get("/presign").query(&bad).send().await.unwrap()).await.0, 400);
    let body = json!({"filename": "a.mp4", "expiresAt": "2020-01-01T00:00:00Z"});
    assert_eq!(problem(backend.post("/s3/multipart").json(&body).send().await.unwrap()).await.0, 400);
    let form = Form::new().text("tags", "a,a").part("file", Part::bytes(mp4()).file_name("a.mp4"));
    assert_eq!(problem(backend.post("/upload").multipart(form).send().await.unwrap()).await.0, 400);
    assert_eq!(list().await, before, "a refused request leaves no row");
}

/// Creates 30 videos, of which some have a title and tags. Returns the titles of `local`, as the list has them.
async fn library(backend: &Backend) -> Vec<String> {
    let videos = &backend.local.app.videos;
    for n in 0..30 {
        let user = if n % 10 == 9 { "eve" } else { "local" }.parse::<upreel_core::UserId>().unwrap();
        let key = Key::Video { user: user.clone(), id: VideoId::new(), container: None };
        let title = ["Été", "ete", "Mer", "Été à la mer"][n % 4];
        let details = Details {
            title: (n % 3 > 0).then(|| format!("{title} {n}")),
            tags: if n % 2 == 0 { vec!["Famille".into(), format!("t{}", n % 5)] } else { Vec::new() },
            ..Details::default()
        };
        videos.create(&key, (user, "a".into(), "b".into()), None, &details).await.unwrap();
    }
    let list: Value = backend.get("/videos?limit=100").send().await.unwrap().json().await.unwrap();
    let titles = list["videos"].as_array().unwrap().iter();
    titles.map(|video| video["title"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn searches_find_titles_and_tags_page_by_page() {
    let backend = Backend::start().await;
    let titles = library(&backend).await;
    let find = async |query: &[(&str, &str)], limit: usize| {
        let (mut found, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
        loop {
            let request = backend.get("/videos").query(query).query(&[("limit", limit)]);
            let request = request.query(&cursor.iter().map(|cursor| ("cursor", cursor)).collect::<Vec<_>>());
            let page: Value = request.send().await.unwrap().json().await.unwrap();
            let videos = page["videos"].as_array().unwrap();
            assert!(videos.len() <= limit);
            found.extend(videos.iter().map(|video| video["title"].as_str().unwrap_or_default().to_owned()));
            pages += 1;
            cursor = page["cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return (found, pages);
            }
        }
    };
    let with = |prefix: &str| {
        titles.iter().filter(|title| title.to_lowercase().starts_with(prefix)).cloned().collect::<Vec<_>>()
    };
    for limit in [1, 3, 100] {
        assert_eq!(find(&[("title", "ÉTÉ")], limit).await.0, with("été"), "{limit}");
        assert_eq!(find(&[("title", "e\u{301}te\u{301} à LA")], limit).await.0, with("été à la"));
        assert_eq!(find(&[("title", "mer")], limit).await.0, with("mer"), "the beginning, not a part");
        assert_eq!(find(&[("title", "x")], limit).await, (Vec::new(), 1));
        assert_eq!(find(&[("title", ""), ("tag", " ")], limit).await.0, titles, "no search");
    }
    let (family, _) = find(&[("tag", "FAMILLE")], 4).await;
    assert_eq!(family.len(), 15, "the even ones; those of eve are odd");
    assert_eq!(find(&[("tag", "famill")], 100).await.0, Vec::<String>::new(), "a tag, not its beginning");
    let (both, _) = find(&[("tag", "famille"), ("title", "mer")], 2).await;
    assert_eq!(both, with("mer").into_iter().filter(|title| family.contains(title)).collect::<Vec<_>>());

    let long = backend.get("/videos").query(&[("title", "x".repeat(201))]).send().await.unwrap();
    assert_eq!(problem(long).await, (400, "INVALID_REQUEST".into()));
    let eve = backend.get("/videos").query(&[("tag", "famille")]).header("x-user", "mallory");
    assert_eq!(eve.send().await.unwrap().json::<Value>().await.unwrap(), json!({"videos": []}));
}

#[tokio::test]
async fn changed_titles_and_tags_are_found_at_once_and_no_longer() {
    let backend = Backend::start().await;
    let id = pending(&backend).await;
    let finds = async |name: &str, text: &str| {
        let list: Value =
            backend.get("/videos").query(&[(name, text)]).send().await.unwrap().json().await.unwrap();
        list["videos"].as_array().unwrap().len() == 1
    };
    changed(&backend, &id, &json!({"title": "First", "tags": ["a"]})).await;
    assert!(finds("title", "fi").await && finds("tag", "A").await);
    changed(&backend, &id, &json!({"title": "Second", "tags": ["b"]})).await;
    assert!(!finds("title", "fi").await && !finds("tag", "a").await);
    assert!(finds("title", "SEC").await && finds("tag", "b").await);
    changed(&backend, &id, &json!({"title": null, "tags": null})).await;
    assert!(!finds("title", "sec").await && !finds("tag", "b").await);
}
