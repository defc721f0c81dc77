//! Makes images: the part with effects.

use crate::{
    Architecture, BuildError, Go, Image, ImageFile, ImagesError, Places, ProgramName, ProgramSet,
    StoreError, Wanted,
    build::{build_package, path_text},
    host_tools::HostTools,
    images::{
        BuiltImage, ImageName, ImageRecipe, ImageSet, ImageStep, ImagesFound, PAUSE_SOURCE,
        WEB_MODULE, WEB_SOURCE, image_recipes, plan_images,
    },
    metrics_server,
    observe::find_go,
    store::{self, writing},
};
use host_exec::{Command, EventSink, Host, LocalHost};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The step's name in events.
const STEP: &str = "images";

/// Compiling forty lines of C.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(120);

/// Whom programs without privileges run as: "nobody" of distroless images, beyond the users of any distribution.
const NONROOT: &str = "65532:65532";

/// Whom the others run as.
const ROOT: &str = "0:0";

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
        netfilter: HostTools::find(places),
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
            let program = match recipe.name {
                ImageName::Program(program) => program,
                _ => ProgramName::Coredns,
            };
            // Port 53 needs a capability, which a container gives to root only; keys are readable for root only.
            pack(wanted, recipe, &set.path(program), ROOT, Vec::new()).await
        }
        ImageStep::PackWithTools { recipe, tools } => {
            let program = set.path(ProgramName::KubeProxy);
            let files = with_libraries(here, recipe, tools).await?;
            pack(wanted, recipe, &program, ROOT, files).await
        }
        ImageStep::Compile { recipe, cc } => {
            let program = compile_pause(here, recipe, cc, places).await?;
            pack(wanted, recipe, &program, NONROOT, Vec::new()).await
        }
        ImageStep::BuildGo { recipe, go } => {
            let program = match recipe.name {
                ImageName::MetricsServer => {
                    let version = wanted.versions.metrics_server()?;
                    metrics_server::build(here, go, wanted.architecture, version, places).await?
                }
                _ => build_web(here, go, wanted.architecture, places).await?,
            };
            pack(wanted, recipe, &program, NONROOT, Vec::new()).await
        }
    }
}

/// The tools of a host, and the libraries that they are linked to.
async fn with_libraries(
    here: &LocalHost,
    recipe: &ImageRecipe,
    tools: &HostTools,
) -> Result<Vec<ImageFile>, ImagesError> {
    let reference = || recipe.reference.clone();
    let found = tools.files(here).await;
    let found = found.map_err(|source| ImagesError::Libraries {
        reference: reference(),
        source,
    })?;
    found.map_err(|source| ImagesError::Pack {
        reference: reference(),
        source,
    })
}

/// Compiles the pause program, which needs no libraries then, and returns its file.
async fn compile_pause(
    here: &LocalHost,
    recipe: &ImageRecipe,
    cc: &Path,
    places: &Places,
) -> Result<PathBuf, ImagesError> {
    let dir = store::directory(places.cache_dir.join("images/pause"))?;
    let (source, program) = (dir.join("pause.c"), dir.join("pause"));
    store::write_atomically(&source, PAUSE_SOURCE.as_bytes())?;
    let (from, to) = (path_text(&source), path_text(&program));
    let words = ["-static", "-O2", "-s", "-o", &to, &from];
    let compile = Command::new(path_text(cc)).args(words);
    let compiled = here.run(&compile.timeout(COMPILE_TIMEOUT)).await;
    compiled.map_err(|source| ImagesError::Compile {
        reference: recipe.reference.clone(),
        source,
    })?;
    Ok(program)
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
    more: Vec<ImageFile>,
) -> Result<(), ImagesError> {
    let (recipe, program, user) = (recipe.clone(), program.to_owned(), user.to_owned());
    let architecture = wanted.architecture;
    let packing = tokio::task::spawn_blocking(move || {
        let contents = fs::read(&program).map_err(writing(&program))?;
        let mut image = image(&recipe, architecture, contents, user);
        image.files.extend(more);
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
    let (path, search) = match recipe.name {
        ImageName::Pause => ("/pause".to_owned(), "/"),
        ImageName::Coredns => ("/coredns".to_owned(), "/"),
        ImageName::Web => ("/web".to_owned(), "/"),
        ImageName::MetricsServer => ("/metrics-server".to_owned(), "/"),
        // Manifests name these by path, or by name alone.
        ImageName::Program(program) => (
            format!("/usr/local/bin/{program}"),
            "/usr/local/bin:/usr/sbin",
        ),
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
                path: path.clone(),
                contents: program,
                mode: 0o755,
            },
            text(
                "/etc/passwd",
                "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
            ),
            text("/etc/group", "root:x:0:\nnonroot:x:65532:\n"),
        ],
        entrypoint: vec![path],
        user,
        env: vec![format!("PATH={search}")],
    }
}
