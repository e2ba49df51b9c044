//! Manifests that do not count: not signed, not logged, not witnessed, old, or another one of the same number.

use hashpact_keys::Timestamp;
use hashpact_protocol::log::LogProofError;
use hashpact_protocol::testing::keys::START;

use super::world::Published;
use super::*;

async fn shown(change: impl FnOnce(&World) -> Published) -> MatchError {
    let bench = Bench::new(centre());
    let published = change(&bench.world);
    *bench.world.published.lock().unwrap() = published;
    let error = bench
        .check(MatchMode::Items, &list(0..500))
        .await
        .err()
        .unwrap();
    assert_eq!((bench.charged(), bench.evaluated()), (0, 0));
    error
}

fn lately() -> Timestamp {
    Timestamp::new(START.get() + 1_800)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifest_that_is_not_logged_is_refused() {
    let error = shown(|world| world.publish(&world.manifest(0), lately(), 4, false)).await;
    assert!(
        matches!(
            error,
            MatchError::Manifest(ManifestFault::Proof(LogProofError::Inclusion(_)))
        ),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifest_with_too_few_witnesses_is_refused() {
    let error = shown(|world| world.publish(&world.manifest(0), lately(), 2, true)).await;
    assert!(
        matches!(
            error,
            MatchError::Manifest(ManifestFault::NotWitnessed { got: 2, quorum: 3 })
        ),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifest_whose_quorum_is_older_than_a_day_is_refused() {
    let old = Timestamp::new(now().get() - 86_401);
    let error = shown(|world| world.publish(&world.manifest(0), old, 4, true)).await;
    // Keys of the roster begin later than that: no cosignature counts at all.
    assert!(
        matches!(
            error,
            MatchError::Manifest(ManifestFault::NotWitnessed { .. })
        ),
        "{error}"
    );
    let bench = Bench::new(centre());
    let mut order = bench.order(MatchMode::Items, &list(0..500));
    order.clock = || Timestamp::new(START.get() + 1_800 + 86_401);
    let error = bench.run(&order).await.err().unwrap();
    assert!(
        matches!(error, MatchError::Manifest(ManifestFault::Stale { .. })),
        "{error}"
    );
    assert!(error.is_no());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifest_under_the_signature_of_another_is_refused() {
    let error = shown(|world| {
        let mut published = world.publish(&world.manifest(0), lately(), 4, true);
        let last = published.manifest.len() - 1;
        published.manifest[last] ^= 1;
        published
    })
    .await;
    assert!(
        matches!(error, MatchError::Manifest(ManifestFault::Manifest(_))),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifest_of_an_epoch_that_is_over_is_refused() {
    let bench = Bench::new(centre());
    let mut manifest = bench.world.manifest(0);
    manifest.until = Timestamp::new(START.get() + 1);
    let published = bench
        .world
        .publish(&manifest, Timestamp::new(START.get() + 170_000), 4, true);
    *bench.world.published.lock().unwrap() = published;
    let mut order = bench.order(MatchMode::Items, &list(0..500));
    order.clock = || Timestamp::new(START.get() + 172_802);
    let error = bench.run(&order).await.err().unwrap();
    assert!(
        matches!(error, MatchError::Manifest(ManifestFault::Epoch { .. })),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_manifest_is_refused_once_a_newer_one_was_seen() {
    let bench = Bench::new(centre());
    let items = list(0..500);
    let (old, newer) = (bench.world.manifest(0), bench.world.manifest(1));
    let publish = |manifest| {
        let published = bench.world.publish(manifest, lately(), 4, true);
        *bench.world.published.lock().unwrap() = published;
    };
    publish(&newer);
    bench.check(MatchMode::Items, &items).await.unwrap();
    publish(&old);
    let error = bench.check(MatchMode::Items, &items).await.err().unwrap();
    assert!(
        matches!(
            error,
            MatchError::Manifest(ManifestFault::Rollback {
                got: 0,
                seen: 1,
                ..
            })
        ),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_manifests_of_one_number_are_a_fork() {
    let bench = Bench::new(centre());
    let items = list(0..500);
    bench.check(MatchMode::Items, &items).await.unwrap();
    let mut other = bench.world.manifest(0);
    other.issued_at = Timestamp::new(START.get() + 1);
    let published = bench.world.publish(&other, lately(), 4, true);
    *bench.world.published.lock().unwrap() = published;
    let error = bench.check(MatchMode::Items, &items).await.err().unwrap();
    assert!(
        matches!(
            error,
            MatchError::Manifest(ManifestFault::Forked { number: 0 })
        ),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_roster_opens_nothing() {
    let bench = Bench::new(centre());
    let mut order = bench.order(MatchMode::Items, &list(0..500));
    order.clock = || Timestamp::new(START.get() + 366 * 86_400);
    let error = bench.run(&order).await.err().unwrap();
    assert!(
        matches!(
            error,
            MatchError::Manifest(ManifestFault::RosterExpired { .. })
        ),
        "{error}"
    );
}
