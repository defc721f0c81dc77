//! The images of a lab without a registry: which there are, what they are made of, and how to get them; pure.

use crate::{
    Architecture, BuildError, Go, ImageReference, InvalidImageReference, Places, ProgramName,
    ProgramSet, Sha256, StoreError, UnknownKubernetes, Wanted,
    host_tools::{self, HostTools},
    metrics_server,
};
use host_exec::RunError;
use std::{fmt, io, path::PathBuf};

pub(crate) const PAUSE_SOURCE: &str = include_str!("../images/pause.c");
pub(crate) const WEB_SOURCE: &str = include_str!("../images/web/main.go");
pub(crate) const WEB_MODULE: &str = include_str!("../images/web/go.mod");

/// The tag of the web image; to be raised when what it can do changes.
const WEB_TAG: &str = "1";

/// Changes when the way in which images are put together changes, so that older archives are made anew.
const FORMAT: &str = "1";

/// An image of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageName {
    /// The process that holds a pod's namespaces.
    Pause,
    /// The cluster's DNS server.
    Coredns,
    /// A small HTTP server and client, for a first Deployment and for tests.
    Web,
    /// The add-on that `kubectl top` and autoscalers ask.
    MetricsServer,
    /// A program of Kubernetes, at `/usr/local/bin`. kube-proxy has the tools of netfilter beside it.
    Program(ProgramName),
}

/// An image that is to be there, and the archive that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecipe {
    /// Which image.
    pub name: ImageName,
    /// Its name and tag in the cluster.
    pub reference: ImageReference,
    /// The archive, named for a digest of all that the image is made of: if it is there, it is right. Tools of this
    /// machine, in the image of kube-proxy, do not count: any of them will do.
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
    /// nft and iptables of this machine.
    pub netfilter: HostTools,
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
    /// Pack a program that is there, with tools of this machine.
    PackWithTools {
        /// The image.
        recipe: ImageRecipe,
        /// The tools.
        tools: HostTools,
    },
    /// Build the program, of the web image or metrics-server, and pack it.
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
            Self::PackWithTools { recipe, .. } => {
                write!(
                    f,
                    "make {} with nft and iptables of this machine",
                    recipe.reference
                )
            }
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
    /// Its project publishes images and no programs.
    #[error(
        "cannot make {reference}: {why}; install Go (https://go.dev/dl) and give it access to a module proxy, or name an image that nodes can pull"
    )]
    NoGo {
        /// The image.
        reference: ImageReference,
        /// Why there is no Go.
        why: String,
    },
    /// The version is not in the catalogue.
    #[error(transparent)]
    Unknown(#[from] UnknownKubernetes),
    /// kube-proxy writes its rules with these.
    #[error(
        "cannot make {reference}: this machine has no {missing}, which is copied into it; on Debian: apt-get install nftables iptables"
    )]
    NoTool {
        /// The image.
        reference: ImageReference,
        /// The program.
        missing: &'static str,
    },
    /// Which libraries a tool needs could not be found out.
    #[error("cannot make {reference}: ldd does not tell the libraries of nft and iptables")]
    Libraries {
        /// The image.
        reference: ImageReference,
        /// What it said.
        #[source]
        source: RunError,
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
    /// A program of an image is not in the version set.
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
/// The set does not have CoreDNS or a program that is wanted as an image, its Kubernetes is older than the catalogue, or
/// the tag of the pause image is not a tag.
pub fn image_recipes(
    wanted: &Wanted,
    set: &ProgramSet,
    places: &Places,
) -> Result<Vec<ImageRecipe>, ImagesError> {
    let entry = |program| {
        let entry = set.lock.programs.get(&program);
        entry.ok_or_else(|| ImagesError::NoProgram {
            program,
            dir: set.dir.clone(),
        })
    };
    let coredns = entry(ProgramName::Coredns)?;
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
    let mut recipes = vec![
        recipe(ImageName::Pause, pause, PAUSE_SOURCE)?,
        recipe(ImageName::Coredns, dns, coredns.sha256.as_str())?,
        recipe(
            ImageName::Web,
            format!("lab.local/web:{WEB_TAG}"),
            &web_content,
        )?,
    ];
    if wanted.metrics_server {
        let version = wanted.versions.metrics_server()?;
        let name = format!("lab.local/metrics-server:v{version}");
        let content = metrics_server::arguments(version).join("\n");
        recipes.push(recipe(ImageName::MetricsServer, name, &content)?);
    }
    for program in &wanted.as_images {
        let name = format!("lab.local/{program}:v{}", wanted.versions.kubernetes);
        let mut content = vec![entry(*program)?.sha256.as_str()];
        if *program == ProgramName::KubeProxy {
            content.push(host_tools::PROTOCOLS);
        }
        recipes.push(recipe(
            ImageName::Program(*program),
            name,
            &content.join("\n"),
        )?);
    }
    Ok(recipes)
}

/// The steps that make what is missing, and what is left out because there is no Go; pure.
///
/// # Errors
///
/// An image that a cluster needs is missing and cannot be made here.
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
            (ImageName::Program(ProgramName::KubeProxy), _) => {
                let reference = recipe.reference.clone();
                only_here(wanted, &reference)?;
                if let Some(missing) = found.netfilter.missing() {
                    return Err(ImagesError::NoTool { reference, missing });
                }
                let tools = found.netfilter.clone();
                steps.push(ImageStep::PackWithTools { recipe, tools });
            }
            (ImageName::Coredns | ImageName::Program(_), _) => {
                steps.push(ImageStep::Pack { recipe });
            }
            (ImageName::Pause, _) => {
                let reference = recipe.reference.clone();
                only_here(wanted, &reference)?;
                let cc = found
                    .cc
                    .clone()
                    .ok_or(ImagesError::NoCompiler { reference })?;
                steps.push(ImageStep::Compile { recipe, cc });
            }
            (ImageName::Web | ImageName::MetricsServer, Go::Found { path, .. }) => {
                let go = path.clone();
                steps.push(ImageStep::BuildGo { go, recipe });
            }
            (ImageName::MetricsServer, Go::Missing(why)) => {
                let (reference, why) = (recipe.reference, why.clone());
                return Err(ImagesError::NoGo { reference, why });
            }
            (ImageName::Web, Go::Missing(why)) => left_out.push(LeftOut {
                reason: format!("it is written in Go: {why}"),
                reference: recipe.reference,
            }),
        }
    }
    Ok((steps, left_out))
}

/// What is compiled or copied here runs on processors of this kind.
fn only_here(wanted: &Wanted, reference: &ImageReference) -> Result<(), ImagesError> {
    if Architecture::here() == Ok(wanted.architecture) {
        return Ok(());
    }
    Err(ImagesError::OtherArchitecture {
        reference: reference.clone(),
        architecture: wanted.architecture,
    })
}
