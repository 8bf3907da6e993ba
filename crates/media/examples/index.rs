use bytes::Bytes;
use std::{os::unix::fs::FileExt, sync::Arc};
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    for path in std::env::args().skip(2) {
        let f = Arc::new(std::fs::File::open(&path).unwrap());
        let size = f.metadata().unwrap().len();
        let s = upreel_media::Source::new(
            size,
            Box::new(move |r: std::ops::Range<u64>| {
                let f = f.clone();
                Box::pin(async move {
                    let mut b = vec![0; (r.end - r.start) as usize];
                    f.read_exact_at(&mut b, r.start).unwrap();
                    Ok(Bytes::from(b))
                })
            }),
        );
        let head = s.read(0..4096).await.unwrap();
        let Some(c) = upreel_core::Container::sniff(&head) else {
            println!("{path}: no container");
            continue;
        };
        match upreel_media::Index::open(&s, c).await {
            Ok(Some(i)) => {
                let st = s.stats();
                let k = i.keyframes(&s, n).await;
                println!("{path}: {} open={st:?} after={:?}\n  {:?}", size, s.stats(), i.facts);
                match k {
                    Ok(k) => {
                        println!(
                            "  {} keyframes {:?}",
                            k.len(),
                            k.iter()
                                .take(6)
                                .map(|k| (k.time_ms, k.place.start, k.place.end - k.place.start))
                                .collect::<Vec<_>>()
                        );
                        let mut v = vec![];
                        for x in &k {
                            v.push(s.fetch(x.place.clone()).await.unwrap())
                        }
                        let w = i.wrap(v).concat();
                        std::fs::write(format!("/tmp/wrap/{}", path.rsplit('/').next().unwrap()), w).unwrap();
                    }
                    Err(e) => println!("  keyframes: {e}"),
                }
            }
            Ok(None) => println!("{path}: none"),
            Err(e) => println!("{path}: {e}"),
        }
    }
}
