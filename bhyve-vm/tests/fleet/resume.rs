//! The connection is cut at every call, before it and after it; the next run finishes.

use crate::fixture::{fleet, removal, supply};
use crate::host::{Cut, FakeHost, World};
use crate::journey::{plan, with_lab};
use bhyve_vm::fleet::{self, Fleet, Supply, destroy};
use host_exec::event::Silent;

/// One `up`, as a program does it.
async fn up(host: &FakeHost, fleet: &Fleet, supply: &Supply) -> Result<(), String> {
    let found = fleet::observe(host, fleet)
        .await
        .map_err(|error| error.to_string())?;
    let plan = fleet::plan(fleet, &found).map_err(|error| error.to_string())?;
    let applied = fleet::apply(host, fleet, &plan, supply, &Silent).await;
    applied.map_err(|error| error.to_string())
}

/// How many calls an unbroken run makes, and what is there afterwards.
async fn unbroken(fleet: &Fleet, supply: &Supply) -> (usize, String) {
    let host = FakeHost::new(World::ready());
    up(&host, fleet, supply).await.unwrap();
    (host.calls(), host.state())
}

fn every_cut(calls: usize) -> impl Iterator<Item = Cut> {
    (0..calls).flat_map(|call| [Cut::Before(call), Cut::After(call)])
}

#[tokio::test]
async fn up_goes_on_wherever_it_was_cut() {
    let fleet = fleet();
    let (_place, supply) = supply(&fleet);
    let (calls, whole) = unbroken(&fleet, &supply).await;
    assert!(calls > 80, "{calls}");
    for cut in every_cut(calls) {
        let host = FakeHost::new(World::ready());
        let broken = host.again(cut);
        up(&broken, &fleet, &supply).await.unwrap_err();
        assert!(broken.is_cut());
        up(&host, &fleet, &supply)
            .await
            .unwrap_or_else(|error| panic!("{cut:?}: {error}"));
        assert_eq!(host.state(), whole, "{cut:?}");
        let third = plan(&host, &fleet).await;
        assert!(third.is_empty(), "{cut:?}: {third}");
    }
}

#[tokio::test]
async fn up_goes_on_after_two_cuts() {
    let fleet = fleet();
    let (_place, supply) = supply(&fleet);
    let (calls, whole) = unbroken(&fleet, &supply).await;
    // Numbers that are the same each time, spread over both runs.
    for number in 0..60_usize {
        let (first, second) = (number * 7919 % calls, number * 104_729 % calls);
        let host = FakeHost::new(World::ready());
        up(&host.again(Cut::After(first)), &fleet, &supply)
            .await
            .unwrap_err();
        // The second run may have less to do than the number of its cut.
        let _cut = up(&host.again(Cut::Before(second)), &fleet, &supply).await;
        up(&host, &fleet, &supply).await.unwrap();
        assert_eq!(host.state(), whole, "{first}, {second}");
    }
}

/// The way to a lab without one of its routes.
#[tokio::test]
async fn less_goes_on_wherever_it_was_cut() {
    let larger = fleet();
    let (_place, supply) = supply(&larger);
    let mut smaller = larger.clone();
    smaller.network.pop();
    let host = FakeHost::new(World::ready());
    with_lab(&host, &larger).await;
    // Only what comes after the look changes anything: the route, and the note of it.
    let looked = host.again(Cut::Never);
    plan(&looked, &smaller).await;
    up(&host, &smaller, &supply).await.unwrap();
    let (first, less) = (looked.calls(), host.state());
    for cut in (first..first + 3).flat_map(|call| [Cut::Before(call), Cut::After(call)]) {
        let host = FakeHost::new(World::ready());
        with_lab(&host, &larger).await;
        up(&host.again(cut), &smaller, &supply).await.unwrap_err();
        up(&host, &smaller, &supply)
            .await
            .unwrap_or_else(|error| panic!("{cut:?}: {error}"));
        assert_eq!(host.state(), less, "{cut:?}");
        let third = plan(&host, &smaller).await;
        assert!(third.is_empty(), "{cut:?}: {third}");
    }
}

#[tokio::test]
async fn destroy_goes_on_wherever_it_was_cut() {
    let fleet = fleet();
    let removal = removal(&fleet, true);
    let host = FakeHost::new(World::ready());
    with_lab(&host, &fleet).await;
    let counted = host.again(Cut::Never);
    destroy(&counted, &removal, &Silent).await.unwrap();
    let (calls, empty) = (counted.calls(), host.state());
    for cut in every_cut(calls) {
        let host = FakeHost::new(World::ready());
        with_lab(&host, &fleet).await;
        let broken = host.again(cut);
        destroy(&broken, &removal, &Silent).await.unwrap_err();
        destroy(&host, &removal, &Silent)
            .await
            .unwrap_or_else(|error| panic!("{cut:?}: {error}"));
        assert_eq!(host.state(), empty, "{cut:?}");
    }
}

/// A lab that is half made is removed by its name.
#[tokio::test]
async fn a_lab_that_was_cut_is_removed() {
    let fleet = fleet();
    let removal = removal(&fleet, true);
    let (_place, supply) = supply(&fleet);
    let (calls, _) = unbroken(&fleet, &supply).await;
    for call in 0..calls {
        let host = FakeHost::new(World::ready());
        up(&host.again(Cut::After(call)), &fleet, &supply)
            .await
            .unwrap_err();
        destroy(&host, &removal, &Silent).await.unwrap();
        let state = host.state();
        assert!(!state.contains("lab0"), "{call}: {state}");
        assert!(
            state.contains("\"net.inet.ip.forwarding\": \"0\""),
            "{call}: {state}"
        );
    }
}
