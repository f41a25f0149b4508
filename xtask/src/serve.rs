//! The page on this machine's own address, under the policy that it ships with.

use crate::build::Profile;
use crate::{build, project, watch};
use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use tokio::runtime::Runtime;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

/// What a page may do: run its own code, and speak to nobody else. index.html says the same in its head.
pub const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
    style-src 'self'; img-src 'self' blob: data:; media-src blob:; font-src 'self'; connect-src 'self'; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'";

/// The same page for models from elsewhere: open.html alone may also speak to others, by https, when it is told to.
pub const OPEN_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
    style-src 'self'; img-src 'self' blob: data:; media-src blob:; font-src 'self'; connect-src 'self' https:; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'";

/// The same for `examples/`, pages as others write them: one has a page of this server in a frame.
pub const EXAMPLES_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
    style-src 'self'; img-src 'self' blob: data:; media-src blob:; font-src 'self'; connect-src 'self'; \
    frame-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'";

/// How many ports after the first are tried.
const PORTS: u16 = 100;

pub struct Options {
    pub port: u16,
    pub open: bool,
    pub test_pages: bool,
}

/// A server that runs until it is dropped.
pub struct Server {
    pub url: String,
    _runtime: Runtime,
}

/// Builds, serves, and stays.
pub fn serve(options: &Options, profile: Profile) -> Result<()> {
    match (build::build(profile), profile) {
        (Ok(()), _) => {}
        (Err(error), Profile::Shipped) => return Err(error),
        // The next change may mend it.
        (Err(error), Profile::Dev) => eprintln!("error: {error:#}; waiting for the next change"),
    }
    let server = start(options)?;
    println!("Unmasked is at {} (Ctrl+C ends it)", server.url);
    if options.open
        && let Err(error) = open::that_detached(&server.url)
    {
        println!("No browser could be opened ({error}): open that address in one");
    }
    match profile {
        Profile::Dev => watch::rebuild_on_change(profile),
        Profile::Shipped => loop {
            std::thread::park();
        },
    }
}

/// Starts a server beside the caller's own work.
pub fn start(options: &Options) -> Result<Server> {
    let listener = listen(options.port)?;
    let address = listener.local_addr().context("the server has no address")?;
    listener.set_nonblocking(true).context("could not prepare the server's socket")?;
    let runtime = Runtime::new().context("could not start the server's threads")?;
    let router = router(&project::root(), options.test_pages);
    let guard = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener)
        .context("could not prepare the server's socket")?;
    drop(guard);
    runtime.spawn(axum::serve(listener, router).into_future());
    Ok(Server { url: format!("http://{address}"), _runtime: runtime })
}

/// Takes the port, or the next free one.
fn listen(port: u16) -> Result<TcpListener> {
    for candidate in port..=port.saturating_add(PORTS) {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)) {
            Ok(listener) => return Ok(listener),
            Err(error)
                if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("could not listen on port {candidate}"));
            }
        }
    }
    bail!("no free port from {port} to {}: name another with --port", port.saturating_add(PORTS))
}

/// What is served: www/ at the root, examples/ beside it.
fn router(root: &Path, test_pages: bool) -> Router {
    let mut router = Router::new()
        .nest_service("/examples", ServeDir::new(root.join("examples")))
        // The build leaves the engine beside itself as brotli; the rest is compressed on its way.
        .fallback_service(ServeDir::new(root.join("www")).precompressed_br());
    if test_pages {
        for (path, folder) in [
            ("/__test__", "tests/browser/pages"),
            ("/__bench__", "tests/bench/pages"),
            ("/__bench_models__", "target/bench/models"),
            ("/__peers__", "tests/bench/node_modules"),
            ("/__candle__", "target/bench/candle/pkg"),
        ] {
            router = router.nest_service(path, ServeDir::new(root.join(folder)));
        }
    }
    // Weights hardly shrink, and a progress bar needs their length, which a compressed answer does not tell.
    let compressible =
        DefaultPredicate::new().and(NotForContentType::const_new("application/octet-stream"));
    router = router.layer(CompressionLayer::new().compress_when(compressible));
    if test_pages {
        // As a plain host has it, which compresses nothing.
        router = router.nest_service("/__site__", ServeDir::new(root.join("dist/site")));
    }
    router
        .layer(from_fn(refuse_foreign_hosts))
        .layer(from_fn(send_policy))
        .layer(always(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(always(header::REFERRER_POLICY, "no-referrer"))
        // Asked for again each time, and answered 304 while the ETag is the same.
        .layer(always(header::CACHE_CONTROL, "no-cache"))
}

async fn send_policy(request: Request, next: Next) -> Response {
    let policy = match request.uri().path() {
        "/open.html" => OPEN_POLICY,
        path if path.starts_with("/examples/") => EXAMPLES_POLICY,
        _ => POLICY,
    };
    let mut answer = next.run(request).await;
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    answer
}

fn always(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}

/// A page elsewhere whose name was made to point at this machine must not read what is served here.
async fn refuse_foreign_hosts(request: Request, next: Next) -> Response {
    let host =
        request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_local(host) {
        return next.run(request).await;
    }
    let message =
        format!("this server answers to `127.0.0.1` and `localhost` only, got `{host}`\n");
    (StatusCode::MISDIRECTED_REQUEST, message).into_response()
}

fn is_local(host: &str) -> bool {
    host.parse::<Authority>().is_ok_and(|host| {
        !host.as_str().contains('@') && matches!(host.host(), "127.0.0.1" | "localhost")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http_body_util::BodyExt;
    use std::path::PathBuf;
    use std::sync::LazyLock;
    use tower::ServiceExt;

    /// A project with two files in its www/ and one that nobody may read.
    static SITE: LazyLock<PathBuf> = LazyLock::new(|| {
        let root = std::env::temp_dir().join(format!("unmasked-serve-{}", std::process::id()));
        std::fs::create_dir_all(root.join("www/pkg")).unwrap();
        std::fs::write(root.join("secret.txt"), "secret").unwrap();
        std::fs::write(root.join("www/index.html"), "<p>".repeat(500)).unwrap();
        std::fs::write(root.join("www/pkg/a.wasm"), "wasm".repeat(500)).unwrap();
        root
    });

    async fn ask(
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, axum::http::HeaderMap, Vec<u8>) {
        let mut request = Request::builder().uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:8080");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer =
            router(&SITE, false).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        (head.status, head.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        Runtime::new().unwrap().block_on(future)
    }

    #[test]
    fn every_answer_carries_the_policy() {
        for (path, status) in
            [("/", StatusCode::OK), ("/pkg/a.wasm", StatusCode::OK), ("/no", StatusCode::NOT_FOUND)]
        {
            let (got, headers, _) = wait(ask(path, &[]));
            assert_eq!(got, status, "{path}");
            assert_eq!(headers[header::CONTENT_SECURITY_POLICY], POLICY);
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
            assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        }
    }

    #[test]
    fn one_page_may_speak_to_others_and_its_worker_may_not() {
        let policy = |path| wait(ask(path, &[])).1[header::CONTENT_SECURITY_POLICY].clone();
        assert_eq!(policy("/open.html"), OPEN_POLICY);
        for path in ["/", "/index.html", "/open.html/", "/worker.js", "/__test__/open.html"] {
            assert_eq!(policy(path), POLICY, "{path}");
        }
        assert_eq!(OPEN_POLICY.replace(" https:;", ";"), POLICY);
        for (page, policy) in [("index.html", POLICY), ("open.html", OPEN_POLICY)] {
            let page = std::fs::read_to_string(project::path("www").join(page)).unwrap();
            assert!(page.contains(&format!("content=\"{policy}\"")));
        }
    }

    #[test]
    fn an_example_may_have_a_page_of_this_server_in_a_frame() {
        let policy = |path| wait(ask(path, &[])).1[header::CONTENT_SECURITY_POLICY].clone();
        assert_eq!(policy("/examples/frame.html"), EXAMPLES_POLICY);
        for path in ["/examples", "/embed.html", "/worker.js"] {
            assert_eq!(policy(path), POLICY, "{path}");
        }
        assert_eq!(EXAMPLES_POLICY.replace(" frame-src 'self';", ""), POLICY);
    }

    #[test]
    fn wasm_has_its_type_and_is_compressed_and_revalidated() {
        let (_, headers, body) = wait(ask("/pkg/a.wasm", &[("accept-encoding", "br")]));
        assert_eq!(headers[header::CONTENT_TYPE], "application/wasm");
        assert_eq!(headers[header::CONTENT_ENCODING], "br");
        assert!(body.len() < 200, "{} bytes", body.len());
        let tag = headers[header::ETAG].to_str().unwrap();
        let (status, _, body) =
            wait(ask("/pkg/a.wasm", &[("if-none-match", tag), ("accept-encoding", "br")]));
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    }

    #[test]
    fn what_the_build_compressed_is_sent_as_it_is() {
        std::fs::write(SITE.join("www/pkg/b.wasm"), "plain").unwrap();
        std::fs::write(SITE.join("www/pkg/b.wasm.br"), "as the build left it").unwrap();
        let (_, headers, body) = wait(ask("/pkg/b.wasm", &[("accept-encoding", "gzip, br")]));
        assert_eq!(headers[header::CONTENT_TYPE], "application/wasm");
        assert_eq!(headers[header::CONTENT_ENCODING], "br");
        assert_eq!(body, b"as the build left it");
        let (_, headers, body) = wait(ask("/pkg/b.wasm", &[]));
        assert_eq!(headers.get(header::CONTENT_ENCODING), None);
        assert_eq!(body, b"plain");
    }

    #[test]
    fn nothing_outside_is_served() {
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/pkg/..%2f..%2fsecret.txt",
            "/examples/../secret.txt",
        ] {
            let (status, _, body) = wait(ask(path, &[]));
            assert!(!status.is_success() && body != b"secret", "{path}: {status}");
        }
        assert_eq!(wait(ask("/__test__/engine.html", &[])).0, StatusCode::NOT_FOUND);
    }

    #[test]
    fn other_hosts_are_refused() {
        for host in ["127.0.0.1", "localhost:9000"] {
            assert_eq!(wait(ask("/", &[("host", host)])).0, StatusCode::OK, "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "evil@localhost",
            "",
        ] {
            assert_eq!(
                wait(ask("/", &[("host", host)])).0,
                StatusCode::MISDIRECTED_REQUEST,
                "{host}"
            );
        }
    }

    #[test]
    fn a_taken_port_gives_the_next() {
        let first = listen(0).unwrap();
        let taken = first.local_addr().unwrap().port();
        assert!(listen(taken).unwrap().local_addr().unwrap().port() > taken);
    }
}
