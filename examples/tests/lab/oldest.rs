//! The oldest Kubernetes there is.

use crate::{
    lab::Scene,
    turn::Room,
    work::{Web, versions},
};

#[test]
#[ignore = "needs root and the programs of Kubernetes 1.28"]
fn the_oldest_kubernetes_runs() {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab("t-old");
    lab.up(&["--kubernetes", "1.28.3"]);
    // DNS is among what is checked.
    lab.check();
    let web = Web::deploy(&lab);
    web.wait_answer("worker-0");
    assert_eq!(versions(&lab)["cp-0"], "v1.28.3");
    lab.up(&[]).changed_nothing();
    lab.down();
    scene.nothing_is_left();
}
