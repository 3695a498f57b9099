//! The network policy as an operator meets it: a refused address is a failed run with a code, exit code 6, and no request.

use crate::support::{databases::TestDatabase, yard::Yard};

on_both_engines!(a_forbidden_address_ends_a_run_with_exit_code_6_and_nobody_is_asked, |db| {
    let yard = Yard::new(db, 1, 0).await;
    let declared = yard.declaration("sandbox", "every 30d", false);
    let own = yard.simulator.base_url();
    for address in
        ["https://169.254.169.254", "http://10.0.0.1", "https://localhost.localdomain@127.0.0.1", "http://8.8.8.8"]
    {
        yard.declare(&declared.replacen(&own, address, 1)).await;
        let done = yard.run_acme().await;
        assert_eq!(done.code(), Some(6), "{address}: {done}");
        let run = yard.newest_run().await;
        assert_eq!((&run["status"], &run["error_code"]), (&"failed".into(), &"network_policy".into()), "{run}");
    }
    assert_eq!(yard.simulator.oracle().count(), 0);
    yard.end().await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_of_the_environment_is_not_used() {
    TestDatabase::sqlite()
        .await
        .run(async |db: &TestDatabase| {
            let mut yard = Yard::applied(db, 2, 0).await;
            // Nobody listens there: a request that went by it would fail.
            for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
                yard.home.variable(name, "http://127.0.0.1:9");
            }
            let done = yard.run_acme().await;
            assert_eq!(done.code(), Some(0), "{done}");
            assert!(yard.simulator.oracle().count() > 0);
            yard.end().await;
        })
        .await;
}
