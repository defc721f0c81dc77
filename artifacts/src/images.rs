//! The images of a lab without a registry: which there are, what they are made of, and making them.

use crate::{
    Architecture, BuildError, Go, Image, ImageFile, ImageReference, InvalidImageReference, Places,
    ProgramName, ProgramSet, Sha256, StoreError, Wanted,
    build::{build_package, path_text},
    observe::find_go,
    store::{self, writing},
};
use host_exec::{Command, EventSink, Host, LocalHost, RunError};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The step's name in events.
const STEP: &str = "images";

const PAUSE_SOURCE: &str = include_str!("../images/pause.c");
const WEB_SOURCE: &str = include_str!("../images/web/main.go");
const WEB_MODULE: &str = include_str!("../images/web/go.mod");

/// The tag of the web image; to be raised when what it can do changes.
const WEB_TAG: &str = "1";

/// Changes when the way in which images are put together changes, so that older archives are made anew.
const FORMAT: &str = "1";

/// Compiling forty lines of C.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(120);

/// Whom programs without privileges run as: "nobody" of distroless images, beyond the users of any distribution.
const NONROOT: &str = "65532:65532";

/// An image of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageName {
    /// The process that holds a pod's namespaces.
    Pause,
    /// The cluster's DNS server.
    Coredns,
    /// A small HTTP server and client, for a first Deployment and for tests.
    Web,
}

/// An image that is to be there, and the archive that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecipe {
    /// Which image.
    pub name: ImageName,
    /// Its name and tag in the cluster.
    pub reference: ImageReference,
    /// The archive, named for a digest of all that the image is made of: if it is there, it is right.
    pub archive: PathBuf,
}

/// An image in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// Its name and tag.
    pub reference: ImageReference,
    /// A tar of an OCI image layout, which `docker load` reads too.
    pub archive: PathBuf,
}

/// An image that could not be made and that a lab can do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name and tag.
    pub reference: ImageReference,
    /// Why.
    pub reason: String,
}

/// The images of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSet {
    /// Those that are there.
    pub images: Vec<BuiltImage>,
    /// Those that are not.
    pub left_out: Vec<LeftOut>,
}

/// What there is to make images with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagesFound {
    /// The archives that are there.
    pub archives: Vec<PathBuf>,
    /// The C compiler.
    pub cc: Option<PathBuf>,
    /// The Go toolchain.
    pub go: Go,
}

/// One image to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageStep {
    /// Compile the pause program and pack it.
    Compile {
        /// The image.
        recipe: ImageRecipe,
        /// The C compiler.
        cc: PathBuf,
    },
    /// Pack a program that is there.
    Pack {
        /// The image.
        recipe: ImageRecipe,
    },
    /// Build the web program and pack it.
    BuildGo {
        /// The image.
        recipe: ImageRecipe,
        /// The Go toolchain.
        go: PathBuf,
    },
}

impl fmt::Display for ImageStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compile { recipe, cc } => {
                write!(f, "make {} with {}", recipe.reference, cc.display())
            }
            Self::Pack { recipe } => write!(f, "make {}", recipe.reference),
            Self::BuildGo { recipe, go } => {
                write!(f, "make {} with {}", recipe.reference, go.display())
            }
        }
    }
}

/// Images that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImagesError {
    /// Without this image no pod starts.
    #[error(
        "cannot make {reference}: there is no C compiler (cc) in PATH; install one with a static C library, on Debian: apt-get install gcc libc6-dev"
    )]
    NoCompiler {
        /// The image.
        reference: ImageReference,
    },
    /// The compiler here compiles for here.
    #[error(
        "cannot make {reference} for {architecture} on this machine: make it on one of that kind"
    )]
    OtherArchitecture {
        /// The image.
        reference: ImageReference,
        /// What it was to run on.
        architecture: Architecture,
    },
    /// The compiler failed.
    #[error(
        "cannot compile the program of {reference}; a static C library is needed, on Debian: apt-get install libc6-dev"
    )]
    Compile {
        /// The image.
        reference: ImageReference,
        /// What it said.
        #[source]
        source: RunError,
    },
    /// The Go build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The version set names an impossible tag.
    #[error(transparent)]
    Reference(#[from] InvalidImageReference),
    /// CoreDNS is not in the version set.
    #[error("the program {program} is not in the set at {}: ask for it", .dir.display())]
    NoProgram {
        /// The program.
        program: ProgramName,
        /// The version set.
        dir: PathBuf,
    },
    /// The archive cannot be put together.
    #[error("cannot pack {reference}")]
    Pack {
        /// The image.
        reference: ImageReference,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The cache cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The images that go with a version set; pure. The references do not depend on what can be made here.
///
/// # Errors
///
/// The set does not have CoreDNS, or the tag of the pause image is not a tag.
pub fn image_recipes(
    wanted: &Wanted,
    set: &ProgramSet,
    places: &Places,
) -> Result<Vec<ImageRecipe>, ImagesError> {
    let coredns = set.lock.programs.get(&ProgramName::Coredns);
    let coredns = coredns.ok_or_else(|| ImagesError::NoProgram {
        program: ProgramName::Coredns,
        dir: set.dir.clone(),
    })?;
    let recipe = |name, text: String, content: &str| {
        let reference: ImageReference = text.parse()?;
        let key = [
            FORMAT,
            reference.as_str(),
            wanted.architecture.as_str(),
            content,
        ]
        .join("\n");
        let key = Sha256::of(key.as_bytes());
        let stem = reference.as_str().rsplit('/').next().unwrap_or_default();
        let file = format!("{}-{}.tar", stem.replace(':', "-"), key.short());
        Ok::<_, ImagesError>(ImageRecipe {
            name,
            archive: places.cache_dir.join("images").join(file),
            reference,
        })
    };
    let pause = format!("lab.local/pause:{}", wanted.versions.pause);
    let dns = format!("lab.local/coredns:v{}", wanted.versions.coredns);
    let web_content = [WEB_MODULE, WEB_SOURCE].join("\n");
    Ok(vec![
        recipe(ImageName::Pause, pause, PAUSE_SOURCE)?,
        recipe(ImageName::Coredns, dns, coredns.sha256.as_str())?,
        recipe(
            ImageName::Web,
            format!("lab.local/web:{WEB_TAG}"),
            &web_content,
        )?,
    ])
}

/// The steps that make what is missing, and what is left out because there is no Go; pure.
///
/// # Errors
///
/// The pause image is missing and cannot be made here.
pub fn plan_images(
    wanted: &Wanted,
    recipes: &[ImageRecipe],
    found: &ImagesFound,
) -> Result<(Vec<ImageStep>, Vec<LeftOut>), ImagesError> {
    let (mut steps, mut left_out) = (Vec::new(), Vec::new());
    for recipe in recipes {
        if found.archives.contains(&recipe.archive) {
            continue;
        }
        let recipe = recipe.clone();
        match (recipe.name, &found.go) {
            (ImageName::Coredns, _) => steps.push(ImageStep::Pack { recipe }),
            (ImageName::Pause, _) => {
                let reference = recipe.reference.clone();
                if Architecture::here() != Ok(wanted.architecture) {
                    return Err(ImagesError::OtherArchitecture {
                        reference,
                        architecture: wanted.architecture,
                    });
                }
                let cc = found
                    .cc
                    .clone()
                    .ok_or(ImagesError::NoCompiler { reference })?;
                steps.push(ImageStep::Compile { recipe, cc });
            }
            (ImageName::Web, Go::Found { path, .. }) => steps.push(ImageStep::BuildGo {
                go: path.clone(),
                recipe,
            }),
            (ImageName::Web, Go::Missing(why)) => left_out.push(LeftOut {
                reason: format!("it is written in Go: {why}"),
                reference: recipe.reference,
            }),
        }
    }
    Ok((steps, left_out))
}

/// Makes the images that are missing and returns them all. With all of them there it only looks.
///
/// # Errors
///
/// An image that a cluster needs cannot be made. The web image without a Go toolchain is *not* an error:
/// it is left out, with the reason.
pub async fn images(
    here: &LocalHost,
    wanted: &Wanted,
    set: &ProgramSet,
    places: &Places,
    events: &dyn EventSink,
) -> Result<ImageSet, ImagesError> {
    let recipes = image_recipes(wanted, set, places)?;
    let found = observe_images(here, places, &recipes).await;
    let (mut steps, mut left_out) = plan_images(wanted, &recipes, &found)?;
    if !steps.is_empty() {
        events.started("", STEP);
        let dir = store::directory(places.cache_dir.join("images"))?;
        let _turn = store::exclusive(&dir, STEP, events).await?;
        // Another process may have made them while this one waited for its turn.
        let found = observe_images(here, places, &recipes).await;
        (steps, left_out) = plan_images(wanted, &recipes, &found)?;
        for step in &steps {
            let what = step.to_string();
            let made = make(here, wanted, set, places, step);
            store::with_heartbeat(events, STEP, || what.clone(), made).await?;
        }
        events.done("", STEP, &format!("{} made", steps.len()));
    }
    let images = recipes
        .into_iter()
        .filter(|recipe| {
            left_out
                .iter()
                .all(|left| left.reference != recipe.reference)
        })
        .map(|recipe| BuiltImage {
            reference: recipe.reference,
            archive: recipe.archive,
        })
        .collect();
    Ok(ImageSet { images, left_out })
}

/// Looks for archives, and for the tools only if an archive is missing.
pub async fn observe_images(
    here: &LocalHost,
    places: &Places,
    recipes: &[ImageRecipe],
) -> ImagesFound {
    let archives: Vec<_> = recipes
        .iter()
        .map(|recipe| recipe.archive.clone())
        .filter(|archive| archive.is_file())
        .collect();
    let go = match archives.len() < recipes.len() {
        true => find_go(here, places).await,
        false => Go::Missing("Go was not looked for".to_owned()),
    };
    ImagesFound {
        archives,
        cc: places.in_path("cc").or_else(|| places.in_path("gcc")),
        go,
    }
}

async fn make(
    here: &LocalHost,
    wanted: &Wanted,
    set: &ProgramSet,
    places: &Places,
    step: &ImageStep,
) -> Result<(), ImagesError> {
    match step {
        ImageStep::Pack { recipe } => {
            let program = set.path(ProgramName::Coredns);
            // Port 53 needs a capability, which a container gives to root only.
            pack(wanted, recipe, &program, "0:0").await
        }
        ImageStep::Compile { recipe, cc } => {
            let dir = store::directory(places.cache_dir.join("images/pause"))?;
            let (source, program) = (dir.join("pause.c"), dir.join("pause"));
            store::write_atomically(&source, PAUSE_SOURCE.as_bytes())?;
            let compile = Command::new(path_text(cc))
                .args([
                    "-static",
                    "-O2",
                    "-s",
                    "-o",
                    &path_text(&program),
                    &path_text(&source),
                ])
                .timeout(COMPILE_TIMEOUT);
            here.run(&compile)
                .await
                .map_err(|source| ImagesError::Compile {
                    reference: recipe.reference.clone(),
                    source,
                })?;
            pack(wanted, recipe, &program, NONROOT).await
        }
        ImageStep::BuildGo { recipe, go } => {
            let program = build_web(here, go, wanted.architecture, places).await?;
            pack(wanted, recipe, &program, NONROOT).await
        }
    }
}

/// Builds the program of the web image, which is of use outside of an image too, and returns its file.
///
/// # Errors
///
/// The cache cannot be written, or the build fails.
pub async fn build_web(
    here: &LocalHost,
    go: &Path,
    architecture: Architecture,
    places: &Places,
) -> Result<PathBuf, BuildError> {
    let dir = store::directory(places.cache_dir.join("images/web"))?;
    store::write_atomically(&dir.join("go.mod"), WEB_MODULE.as_bytes())?;
    store::write_atomically(&dir.join("main.go"), WEB_SOURCE.as_bytes())?;
    let program = dir.join(format!("web-{architecture}"));
    build_package(here, go, architecture, &dir, &program).await?;
    Ok(program)
}

async fn pack(
    wanted: &Wanted,
    recipe: &ImageRecipe,
    program: &Path,
    user: &str,
) -> Result<(), ImagesError> {
    let (recipe, program, user) = (recipe.clone(), program.to_owned(), user.to_owned());
    let architecture = wanted.architecture;
    let packing = tokio::task::spawn_blocking(move || {
        let contents = fs::read(&program).map_err(writing(&program))?;
        let image = image(&recipe, architecture, contents, user);
        let archive = image.archive().map_err(|source| ImagesError::Pack {
            reference: recipe.reference.clone(),
            source,
        })?;
        Ok(store::write_atomically(&recipe.archive, &archive)?)
    });
    packing.await.unwrap_or_else(|joined| {
        let error = io::Error::other(joined);
        Err(StoreError::new(Path::new("image archive"), error).into())
    })
}

/// One static program, and the two files by which programs find the name of their user.
fn image(
    recipe: &ImageRecipe,
    architecture: Architecture,
    program: Vec<u8>,
    user: String,
) -> Image {
    let name = match recipe.name {
        ImageName::Pause => "pause",
        ImageName::Coredns => "coredns",
        ImageName::Web => "web",
    };
    let text = |path: &str, text: &str| ImageFile {
        path: path.to_owned(),
        contents: text.as_bytes().to_vec(),
        mode: 0o644,
    };
    Image {
        reference: recipe.reference.clone(),
        architecture,
        files: vec![
            ImageFile {
                path: format!("/{name}"),
                contents: program,
                mode: 0o755,
            },
            text(
                "/etc/passwd",
                "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
            ),
            text("/etc/group", "root:x:0:\nnonroot:x:65532:\n"),
        ],
        entrypoint: vec![format!("/{name}")],
        user,
        env: vec!["PATH=/".to_owned()],
    }
}
