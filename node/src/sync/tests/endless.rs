//! A broken or hostile server: whatever it sends ends, and fills neither memory nor disk.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashpact_keys::Timestamp;

use super::scene::Scene;
use super::world::*;
use super::*;

#[test]
fn cursor_loop_ends() {
    let scene = Scene::new();
    let Scene {
        world, server, dir, ..
    } = &scene;
    let manifest = world.manifest(2, 10);
    server.goes_on(world, &manifest, "A", end("B", true));
    server.goes_on(world, &manifest, "B", end("C", true));
    server.goes_on(world, &manifest, "C", end("A", true));
    let error = refused(world, server, dir.path());
    assert!(matches!(error, SyncError::CursorLoop), "{error}");
    assert!(server.says().asked.len() < 10);
}

#[test]
fn redirect_is_not_followed_and_the_token_goes_nowhere_else() {
    let scene = Scene::new();
    scene.server.says().status = Some((307, "moved"));
    let error = refused(&scene.world, &scene.server, scene.dir.path());
    assert!(
        matches!(error, SyncError::Api(ApiError::Redirect { status: 307 })),
        "{error}"
    );
    scene.is_as_before();
}

#[test]
fn truncated_zstd_without_anything_whole_is_an_error_and_changes_nothing() {
    let scene = Scene::new();
    let more = scene.world.delta(1, &records(20..60), &[]);
    scene.server.says().zstd = true;
    let items = [more.items(&scene.world), end("B", false)].concat();
    let half = zstd::encode_all(&items[..], 1).unwrap();
    let half = half[..half.len() / 2].to_vec();
    scene.server.says().raw = Some(Arc::new(move |stream| {
        let _ = stream.write_all(&half);
    }));
    let error = scene.says(&[items]);
    assert!(matches!(error, SyncError::Stream(_)), "{error}");
}

#[test]
fn zstd_bomb_costs_neither_memory_nor_time() {
    let scene = Scene::new();
    scene.server.says().zstd = true;
    // Four gigabytes of an item that changes nothing.
    let mark = mark_item(&scene.first.origin, scene.list[0].entry, false);
    let piece = mark.repeat((1 << 20) / mark.len());
    scene.server.says().raw = Some(Arc::new(move |stream| {
        let mut encoder = zstd::stream::write::Encoder::new(stream, 1).unwrap();
        for _ in 0..4_096 {
            if encoder.write_all(&piece).is_err() {
                return;
            }
        }
        let _ = encoder.finish();
    }));
    let begin = Instant::now();
    let error = scene.says(&[end("B", false)]);
    assert!(matches!(error, SyncError::Endless { .. }), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(60));
}

#[test]
fn endless_stream_of_places_to_resume_ends() {
    let scene = Scene::new();
    scene.server.says().raw = Some(Arc::new(|stream| {
        let mut n = 0_u64;
        loop {
            let many: Vec<u8> = (n..n + 10_000).flat_map(|n| at(&format!("c{n}"))).collect();
            n += 10_000;
            if stream.write_all(&many).is_err() {
                return;
            }
        }
    }));
    let error = scene.says(&[end("B", false)]);
    assert!(matches!(error, SyncError::Endless { .. }), "{error}");
}

#[test]
fn endless_stream_of_the_same_pack_fills_no_disk() {
    let scene = Scene::new();
    let pack = scene.first.pack_item(&scene.first.section(&[]));
    let items = [scene.first.head_item(), pack.repeat(100), at("X")].concat();
    scene.server.says().raw = Some(Arc::new(
        move |stream| {
            while stream.write_all(&items).is_ok() {}
        },
    ));
    let error = scene.says(&[end("B", false)]);
    assert!(matches!(error, SyncError::Endless { .. }), "{error}");
    let packs = walkdir::WalkDir::new(scene.dir.path())
        .into_iter()
        .flatten();
    let packs = packs.filter(|item| item.path().parent().is_some_and(|at| at.ends_with("packs")));
    assert_eq!(packs.count(), 1);
}

#[test]
fn packs_beyond_the_bound_of_the_copy_are_refused_before_they_fill_the_disk() {
    let (world, dir) = (World::new(), folder());
    let first = world.delta(0, &records(0..200), &[]);
    let items = [first.items(&world), end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(1, 200), items);
    let (centre, from) = (world.serving().id.clone(), server.url());
    let pass = Pass {
        path: dir.path(),
        api: &api(&server),
        from: &from,
        trust: Trust {
            roster: world.roster(),
            centre: &centre,
            now: Timestamp::new(NOW),
        },
        bounds: Bounds {
            packs: 4_000,
            ..Bounds::default()
        },
        steps: Steps::default(),
    };
    let error = pass.run(&mut |_| {}).unwrap_err();
    let is_bound = matches!(
        error,
        SyncError::Folder(FolderError::Copy(CopyError::TooMany { max: 4_000, .. }))
    );
    assert!(is_bound, "{error}");
}
