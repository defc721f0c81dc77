//! The recorder, on a terminal as nmdm(4) makes one.

use crate::both;
use std::{fs, io::Write, process::Child};

struct Nmdm(Child);

impl Drop for Nmdm {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs sh, shellcheck"]
fn the_console_is_kept_from_the_first_byte_in_bounds_and_never_echoed() {
    both(|world| {
        let terminal = world.path("nmdm-B");
        let stand_in = format!("{}/tests/stand-in/nmdm", env!("CARGO_MANIFEST_DIR"));
        let child = world
            .command(&stand_in)
            .arg(&terminal)
            .arg(world.path("guest-console"))
            .spawn()
            .unwrap();
        let _nmdm = Nmdm(child);
        world.wait("terminal", |world| world.path("nmdm-B.echo").exists());
        world.supervision.console = Some(terminal.to_str().unwrap().parse().unwrap());
        world.supervision.limits.console_bytes = 16 * 1024;
        world.install();
        world.plan(&["panic 0", "guest"]);
        world.start();
        world.await_armed();
        world.wait("panic", |world| {
            world.read("vm/console").contains("Attempted to kill init")
        });
        let mut guest = fs::File::options()
            .append(true)
            .open(world.path("guest-console"))
            .unwrap();
        for line in 0..2000 {
            writeln!(guest, "[{line:8}] a line of a chatty kernel").unwrap();
        }
        world.wait("last line", |world| {
            world.read("vm/console").contains("[    1999]")
        });
        for name in ["vm/console", "vm/console.1"] {
            let size = world.read(name).len();
            assert!(size < 48 * 1024, "{name} {size}");
        }
        assert!(world.path("vm/console.1").exists());
        world.request("stop");
        assert_eq!(world.end(), Some(0), "{}", world.told());
        let told = world.read("vm/console.1") + &world.read("vm/console");
        assert!(told.contains("reboot: Power down"), "{told}");
        assert!(
            world
                .story()
                .contains(&"1 exited 0 guest-panicked".to_owned()),
            "{}",
            world.told()
        );
        assert_eq!(world.read("nmdm-B.echo"), "");
        world.assert_clean();
    });
}
