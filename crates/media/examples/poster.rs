use bytes::Bytes;
use std::{os::unix::fs::FileExt, sync::Arc};
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let ff = std::env::args().nth(1).unwrap();
    let out = std::env::args().nth(2).unwrap();
    for path in std::env::args().skip(3) {
        let f = Arc::new(std::fs::File::open(&path).unwrap());
        let size = f.metadata().unwrap().len();
        let s = Arc::new(upreel_media::Source::new(
            size,
            Box::new(move |r: std::ops::Range<u64>| {
                let f = f.clone();
                Box::pin(async move {
                    let mut b = vec![0; (r.end - r.start) as usize];
                    f.read_exact_at(&mut b, r.start).unwrap();
                    Ok(Bytes::from(b))
                })
            }),
        ));
        let t = std::time::Instant::now();
        let d = tokio::time::Instant::now() + std::time::Duration::from_secs(100);
        let name = path.rsplit('/').next().unwrap();
        match upreel_media::poster::make(&s, ff.as_ref(), d).await {
            Ok(p) => {
                println!(
                    "{name}: {:?} {:?} {} {:?} index={}",
                    s.stats(),
                    t.elapsed(),
                    p.blur_hash,
                    p.facts,
                    p.index.is_some()
                );
                std::fs::write(format!("{out}/{name}.jpg"), &p.jpeg).unwrap();
                std::fs::write(format!("{out}/{name}.large.jpg"), &p.large).unwrap();
                if let Some(i) = p.index {
                    let t = std::time::Instant::now();
                    match upreel_media::storyboard::make(&s, &i, "x.jpg", ff.as_ref(), d).await {
                        Ok(Some(b)) => {
                            println!(
                                "   storyboard {:?} {:?} {} cues",
                                s.stats(),
                                t.elapsed(),
                                b.vtt.matches("-->").count()
                            );
                            std::fs::write(format!("{out}/{name}.board.jpg"), &b.jpeg).unwrap();
                            std::fs::write(format!("{out}/{name}.vtt"), &b.vtt).unwrap();
                        }
                        o => println!("   storyboard {:?}", o.map(|_| ())),
                    }
                }
            }
            Err(e) => println!("{name}: ERR {e}"),
        }
    }
}
