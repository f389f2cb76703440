//! Very many sends along one ordering key, which may leave only one after the other.

use crate::store::plans::read_beside_a_backlog;

/// 100,000 requests wait for one slow server: what others do reads as much as without them.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_backlog_along_one_key_costs_others_nothing() {
    let alone = read_beside_a_backlog(0).await;
    let beside = read_beside_a_backlog(100_000).await;
    assert!(alone > 0);
    assert!(beside * 10 <= alone * 11, "{beside} rows were read beside the backlog, {alone} without it");
}
