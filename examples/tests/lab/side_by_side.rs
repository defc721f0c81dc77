//! Several labs on one machine, and growth of one of them.

use crate::{
    lab::{Scene, addresses},
    turn::Room,
    work::boot_of,
};
use std::{collections::BTreeSet, thread};

#[test]
#[ignore = "needs root"]
fn two_labs_side_by_side_and_one_grows() {
    let scene = Scene::taking(Room::Largest);
    let (one, two) = (scene.lab("t-one"), scene.lab("t-two"));
    // Started at the same moment: neither sees the other's networks before it chooses its own.
    thread::scope(|scope| {
        for lab in [&one, &two] {
            scope.spawn(|| lab.up(&["--etcd", "1"]));
        }
    });
    let networks = [&one, &two].map(|lab| lab.network());
    let [mine, theirs] = networks.each_ref().map(|network| {
        let all = addresses(network).into_values().flatten();
        all.collect::<BTreeSet<_>>()
    });
    assert_eq!(
        mine.intersection(&theirs).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    for lab in [&one, &two] {
        lab.check();
    }

    one.down();
    assert!(!one.dir().exists());
    assert_eq!(one.run(&["status"]).code, Some(4));
    two.check();

    let before = addresses(&networks[1]);
    assert_eq!(two.up(&["--workers", "2"]).result["changed"], true);
    let mut after = addresses(&two.network());
    assert!(after.remove("worker-1").is_some());
    assert_eq!(after, before, "nobody is renumbered");
    assert!(boot_of(&two, "worker-1").unwrap().1);
    two.check();
    // And shrinks again: the other that is there stays as it is.
    assert_eq!(two.up(&["--workers", "1"]).result["changed"], true);
    assert_eq!(addresses(&two.network()), before);
    two.check();
    two.down();
    scene.nothing_is_left();
}
