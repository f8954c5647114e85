//! One request in, one response out. Request bodies are never read.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use tokio::time::timeout;

use super::deadline::Progress;
use super::scrape::Scrapes;
use super::{Options, Pages, Reload, page};

/// Content type of the exposition.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
/// What paths answer to.
const READING: &[Method] = &[Method::GET, Method::HEAD];
const CHANGING: &[Method] = &[Method::POST, Method::PUT];

/// What answers requests; shared by all connections.
pub(super) struct Routes {
    pages: Arc<dyn Pages>,
    scrapes: Scrapes,
    render_timeout: Duration,
}

/// The paths that exist.
#[derive(Clone, Copy)]
enum Route {
    Status,
    Metrics,
    Cardinality,
    Healthy,
    Ready,
    Reload,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Status),
            "/metrics" => Some(Self::Metrics),
            "/api/cardinality" => Some(Self::Cardinality),
            "/-/healthy" => Some(Self::Healthy),
            "/-/ready" => Some(Self::Ready),
            "/-/reload" => Some(Self::Reload),
            _ => None,
        }
    }
}

impl Route {
    fn methods(self) -> &'static [Method] {
        match self {
            Self::Reload => CHANGING,
            _ => READING,
        }
    }
}

impl Routes {
    pub(super) fn new(pages: Arc<dyn Pages>, options: &Options) -> Self {
        Self {
            scrapes: Scrapes::new(Arc::clone(&pages), options.max_expositions),
            pages,
            render_timeout: options.response_timeout,
        }
    }

    /// The response. To HEAD it has the content as well: hyper sends its length and drops it.
    pub(super) async fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let Some(route) = Route::of(path) else {
            return text(StatusCode::NOT_FOUND, "Not found.\n");
        };
        if !route.methods().contains(method) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed.\n");
            let allowed = if route.methods() == READING { "GET, HEAD" } else { "POST, PUT" };
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
            return response;
        }
        match route {
            Route::Status => self.status().await,
            Route::Metrics => self.metrics().await,
            Route::Cardinality => self.cardinality().await,
            Route::Healthy => text(StatusCode::OK, "tailmeter is healthy.\n"),
            Route::Ready if self.pages.is_ready() => text(StatusCode::OK, "tailmeter is ready.\n"),
            Route::Ready => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "tailmeter is not ready: it has not looked at every source yet.\n",
            ),
            Route::Reload => self.reload().await,
        }
    }

    async fn reload(&self) -> Response<Full<Bytes>> {
        let pages = Arc::clone(&self.pages);
        match tokio::task::spawn_blocking(move || pages.reload()).await {
            Ok(Reload::Done) => text(StatusCode::OK, "The configuration was loaded.\n"),
            Ok(Reload::Failed(why)) => response(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                Bytes::from(format!("The configuration before is in use: {}\n", why.trim_end())),
            ),
            Ok(Reload::Disabled) => {
                text(StatusCode::FORBIDDEN, "Not enabled: start tailmeter with --enable-lifecycle.\n")
            }
            Err(_) => failed(),
        }
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        match timeout(self.render_timeout, self.scrapes.exposition()).await {
            Ok(Ok(content)) => response(StatusCode::OK, EXPOSITION, content),
            Ok(Err(_)) => failed(),
            Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "Too many slow scrapes at once.\n"),
        }
    }

    async fn cardinality(&self) -> Response<Full<Bytes>> {
        let pages = Arc::clone(&self.pages);
        let rendering = tokio::task::spawn_blocking(move || serde_json::to_vec(&pages.cardinality()));
        match timeout(self.render_timeout, rendering).await {
            Ok(Ok(Ok(json))) => response(StatusCode::OK, JSON, Bytes::from(json)),
            Ok(_) => failed(),
            Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "Counting the series takes too long.\n"),
        }
    }

    async fn status(&self) -> Response<Full<Bytes>> {
        let pages = Arc::clone(&self.pages);
        // The state of the sources lies behind the same locks as the samples.
        let rendering = tokio::task::spawn_blocking(move || {
            page::render(&pages.sources(), &pages.endings(), &pages.cardinality(), pages.is_ready())
        });
        match timeout(self.render_timeout, rendering).await {
            Ok(Ok(html)) => {
                let mut response = response(StatusCode::OK, HTML, Bytes::from(html));
                let headers = response.headers_mut();
                for (name, value) in PAGE_HEADERS {
                    headers.insert(name, HeaderValue::from_static(value));
                }
                response
            }
            Ok(Err(_)) => failed(),
            Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "The sources are busy.\n"),
        }
    }
}

/// The page has no scripts, no assets and no forms, and nobody may frame it.
const PAGE_HEADERS: [(HeaderName, &str); 2] =
    [(header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY), (header::REFERRER_POLICY, "no-referrer")];

fn text(status: StatusCode, line: &'static str) -> Response<Full<Bytes>> {
    response(status, TEXT, Bytes::from_static(line.as_bytes()))
}

fn failed() -> Response<Full<Bytes>> {
    text(StatusCode::INTERNAL_SERVER_ERROR, "Rendering failed.\n")
}

fn response(status: StatusCode, content_type: &'static str, content: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(content));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A response's content that tells the connection's [`Progress`] when hyper is through with it.
pub(super) struct Tracked {
    content: Full<Bytes>,
    progress: Arc<Progress>,
}

impl Tracked {
    pub(super) fn new(content: Full<Bytes>, progress: Arc<Progress>) -> Self {
        Self { content, progress }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.progress.end_response();
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.content).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}
