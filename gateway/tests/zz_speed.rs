mod common;
use common::*;
use std::io::{Read, Write};
use std::time::Instant;
#[test]
fn speed() {
    for (count, total, window) in [(1u32, 2_000_000usize, 8192usize), (1, 2_000_000, 1024), (64, 100_000, 512), (8189, 3000, 8)] {
        let mut bed = Bed::new();
        let mut c = bed.session(1);
        let session = c.session;
        c.stream.set_nonblocking(false).unwrap();
        let s = c.stream.try_clone().unwrap();
        let start = Instant::now();
        let t = std::thread::spawn(move || {
            let mut s = s;
            let per = 64.min(window/2);
            let frame = write_of(session, 1, count);
            let batch: Vec<u8> = (0..per).flat_map(|_| frame.clone()).collect();
            let mut sent = 0; let mut got = 0usize; let mut buf = vec![0u8; 1<<20];
            while got / 144 < total {
                while sent < total && sent - got/144 + per <= window { s.write_all(&batch).unwrap(); sent += per; }
                got += s.read(&mut buf).unwrap();
                if sent >= total && got/144 >= sent { break; }
            }
            sent
        });
        while !t.is_finished() {
            bed.turn();
            bed.sink.submitted.clear();
        }
        let n = t.join().unwrap();
        let e = start.elapsed().as_secs_f64();
        eprintln!("count {count} window {window}: {:.0} requests/s {:.2} M events/s {:.0} MB/s", n as f64 / e, n as f64 * count as f64 / e / 1e6, n as f64 * (128.0+128.0*count as f64)/e/1e6);
    }
}
