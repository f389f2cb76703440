//! Refused webhooks: counts by tenant, route, kind and hour.

use std::time::Duration;

use recado::domain::{RefusalKind, TenantId};
use recado::store::Refused;

use super::{Bench, on_both};

fn refused(bench: &Bench, tenant: Option<TenantId>, kind: RefusalKind, count: u64, detail: &str) -> Refused {
    Refused { tenant, route: "sms", kind, count, at: bench.now(), detail: detail.to_owned() }
}

#[tokio::test]
async fn refusals_add_up_by_tenant_and_kind() {
    on_both(|bench| async move {
        let (other, begun) = (bench.other().await.tenant, bench.now());
        let signature = |tenant, count, detail: &str| refused(&bench, tenant, RefusalKind::Signature, count, detail);
        let unknown = refused(&bench, None, RefusalKind::Unknown, 7, "no tenant has the slug 'x'");
        let first = [signature(Some(bench.tenant), 2, "first"), signature(Some(other), 1, "theirs"), unknown];
        bench.store.add_refusals(&first).await.unwrap();
        bench.store.clock().advance(Duration::from_secs(3600));
        bench.store.add_refusals(&[signature(Some(bench.tenant), 3, "second")]).await.unwrap();
        bench.store.add_refusals(&[signature(Some(bench.tenant), 4, "in the same hour")]).await.unwrap();
        let last = bench.now();
        bench
            .store
            .add_refusals(&[refused(&bench, Some(bench.tenant), RefusalKind::Unsigned, 1, "bare")])
            .await
            .unwrap();

        let of = async |tenant, since| bench.store.refusals_since(tenant, since).await.unwrap();
        let ours = of(Some(bench.tenant), begun).await;
        let signature = ours.iter().find(|sum| sum.kind == RefusalKind::Signature).unwrap();
        assert_eq!((signature.count, signature.last, signature.detail.as_str()), (9, last, "in the same hour"));
        assert_eq!(ours.len(), 2);
        assert_eq!(of(Some(bench.tenant), last).await.iter().map(|sum| sum.count).sum::<u64>(), 8, "of the last hour");
        assert_eq!(of(Some(other), begun).await[0].detail, "theirs");
        assert_eq!(of(None, begun).await[0].count, 7);

        // After two weeks they are deleted.
        bench.store.clock().advance(Duration::from_secs(15 * 24 * 3600));
        bench.store.add_refusals(&[refused(&bench, Some(other), RefusalKind::BadForm, 1, "now")]).await.unwrap();
        assert!(of(Some(bench.tenant), begun).await.is_empty());
        assert_eq!(of(Some(other), begun).await.len(), 1);
    })
    .await;
}
