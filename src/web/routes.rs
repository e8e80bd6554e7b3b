//! A router that remembers its routes, so that tests can call each of them.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, get, post};

use super::AppState;

/// A method and a path with its parameters in braces.
pub type Route = (Method, &'static str);

#[derive(Default)]
pub struct Routes {
    router: Router<AppState>,
    added: Vec<Route>,
}

impl Routes {
    pub fn get<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.add(Method::GET, path, get(handler))
    }

    pub fn post<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.add(Method::POST, path, post(handler))
    }

    /// A `POST` whose body may be larger than the default limit: at most `bytes`.
    pub fn upload<H, T>(self, path: &'static str, bytes: usize, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let limited = post(handler).layer(DefaultBodyLimit::max(bytes));
        self.add(Method::POST, path, limited)
    }

    fn add(mut self, method: Method, path: &'static str, handler: MethodRouter<AppState>) -> Self {
        self.router = self.router.route(path, handler);
        self.added.push((method, path));
        self
    }

    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.added.extend(other.added);
        self
    }

    pub fn into_router(self) -> Router<AppState> {
        self.router
    }

    pub fn list(self) -> Vec<Route> {
        self.added
    }
}
