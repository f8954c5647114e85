//! The options of one-shot runs that push what they counted to a Pushgateway.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::Failure;
use crate::push::gateway::{self, Existing, Group};
use crate::push::{Login, Server, ServerTls, TIMEOUT_RANGE, Url};

/// How the gateway is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum PushMethod {
    /// All that the gateway has of the group is replaced
    #[default]
    Put,
    /// Metrics that are not pushed stay in the group
    Post,
}

#[derive(Debug, clap::Args)]
pub(super) struct PushOptions {
    /// Push the metrics to the Pushgateway at this address in place of printing them
    ///
    /// For example http://pushgateway.example:9091. A login may stand in it: http://NAME:PASSWORD@HOST:9091.
    #[arg(long, value_name = "URL", env = "TAILMETER_PUSH_GATEWAY", hide_env_values = true)]
    push_gateway: Option<Url>,
    /// Job of the group that is pushed
    #[arg(
        long,
        value_name = "NAME",
        env = "TAILMETER_PUSH_JOB",
        default_value = "tailmeter",
        requires = "push_gateway"
    )]
    push_job: String,
    /// Label of the group that is pushed; may be repeated
    ///
    /// None of the metrics may have it. TAILMETER_PUSH_LABEL holds one.
    #[arg(long, value_name = "LABEL=VALUE", env = "TAILMETER_PUSH_LABEL", value_parser = label, requires = "push_gateway")]
    push_label: Vec<(String, String)>,
    /// How the group is pushed
    #[arg(
        long,
        value_name = "METHOD",
        env = "TAILMETER_PUSH_METHOD",
        default_value = "put",
        requires = "push_gateway"
    )]
    push_method: PushMethod,
    /// File with NAME:PASSWORD for the gateway
    #[arg(long, value_name = "FILE", env = "TAILMETER_PUSH_CREDENTIALS", requires = "push_gateway")]
    push_credentials: Option<PathBuf>,
    /// PEM file of the CAs that the gateway's certificate may be of [default: the system's]
    #[arg(long, value_name = "FILE", env = "TAILMETER_PUSH_CA", requires = "push_gateway")]
    push_ca: Option<PathBuf>,
    /// Longest time that the gateway may take
    #[arg(long, value_name = "SECONDS", env = "TAILMETER_PUSH_TIMEOUT", default_value = "30", requires = "push_gateway",
        value_parser = clap::value_parser!(u64).range(TIMEOUT_RANGE.start().as_secs()..=TIMEOUT_RANGE.end().as_secs()))]
    push_timeout: u64,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("LABEL=VALUE is needed")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A gateway that can be pushed to.
pub(super) struct Gateway {
    server: Server,
    group: Group,
    existing: Existing,
}

impl PushOptions {
    /// The gateway, if one is asked for.
    ///
    /// # Errors
    /// The options contradict each other, or a file of theirs is unusable.
    pub(super) fn gateway(&self) -> Result<Option<Gateway>, Failure> {
        let Some(url) = &self.push_gateway else { return Ok(None) };
        let group = Group::new(&self.push_job, &self.push_label).map_err(Failure::Usage)?;
        if url.has_login() && self.push_credentials.is_some() {
            let message = "the address of --push-gateway has a login already: --push-credentials would be another one";
            return Err(Failure::Usage(message.to_owned()));
        }
        if !url.is_https() && self.push_ca.is_some() {
            return Err(Failure::Usage("--push-ca goes with https://, not with http://".to_owned()));
        }
        let server = Server {
            timeout: Duration::from_secs(self.push_timeout),
            login: self.push_credentials.clone().map_or(Login::None, Login::BasicFile),
            tls: ServerTls { ca: self.push_ca.clone(), ..ServerTls::default() },
            ..Server::new(url.clone())
        };
        gateway::prepare(&server).map_err(Failure::Usage)?;
        let existing = match self.push_method {
            PushMethod::Put => Existing::Replaced,
            PushMethod::Post => Existing::Kept,
        };
        Ok(Some(Gateway { server, group, existing }))
    }
}

impl Gateway {
    /// Pushes the exposition `text`.
    ///
    /// # Errors
    /// The gateway does not have it.
    pub(super) fn push(&self, text: Vec<u8>) -> Result<(), Failure> {
        gateway::push(&self.server, &self.group, self.existing, text).map_err(Failure::Work)
    }
}
