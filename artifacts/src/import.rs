//! Images in virtual machines, which have a containerd root directory of their own.

/// A POSIX shell script, `lab-images [FOLDER [ROOT [RUN]]]`, that brings the images of a
/// [programs disk](crate::programs_disk()) into the containerd of a Linux guest: the archives `image-NAME.tar` of FOLDER
/// (`/opt/lab/bin`) into ROOT (`/var/lib/containerd`), in the kubelet's namespace, unpacked for overlayfs, pinned. RUN
/// (`/run/lab-images`) is removed at its end.
///
/// To be run as root before containerd, at each boot, such as by a unit with `Before=containerd.service`, or with
/// `sh -c SCRIPT lab-images`. It needs containerd with `ctr`, and util-linux; it asks nothing of systemd and of the
/// network. ROOT holds a file `lab-images` with the checksums of what was imported, written last: if they are those of
/// the archives, the script ends without starting anything. So it ends early at a second boot, and not when the disk
/// has other images, or ROOT was emptied.
///
/// Exit status 0 says that all images are there. Else it is 1, and the last line of standard error says why: containerd
/// runs with ROOT already, an archive is damaged or has another image than `lab.local/NAME`, the disk is full.
///
/// In a root that is shared with this machine's, [`containerd_root`](crate::containerd_root) does the same.
pub const IMPORT_IMAGES: &str = include_str!("../images/import-images.sh");
