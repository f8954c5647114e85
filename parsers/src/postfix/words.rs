//! The words of Postfix's lines that may become labels: closed lists, so that no line can add to them.

/// Makes an enum of the words of a list, each with its spelling in the log.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$says:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$says])* $word,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$word,)*];

            /// The word as a label shows it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)*
                }
            }

            /// Finds the word that is spelt `text`.
            #[expect(non_upper_case_globals, reason = "a constant bears the name of its word")]
            pub fn of(text: &[u8]) -> Option<Self> {
                $(const $word: &[u8] = $text.as_bytes();)*
                match text {
                    $($word => Some(Self::$word),)*
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// A program of Postfix, by the last part of its tag.
    Daemon {
        /// Counts clients for rate limits.
        Anvil = "anvil",
        /// Writes bounces and other notifications.
        Bounce = "bounce",
        /// Brings a new message into the queue.
        Cleanup = "cleanup",
        /// A name under which bounce also runs.
        Defer = "defer",
        /// Throws mail away.
        Discard = "discard",
        /// Asks DNS lists for postscreen.
        Dnsblog = "dnsblog",
        /// Bounces or defers all that it is given.
        Error = "error",
        /// Keeps lists of deferred mail by destination.
        Flush = "flush",
        /// Delivers by LMTP.
        Lmtp = "lmtp",
        /// Delivers to local users.
        Local = "local",
        /// Starts all others.
        Master = "master",
        /// Another name of qmgr.
        Nqmgr = "nqmgr",
        /// The former queue manager.
        Oqmgr = "oqmgr",
        /// Takes in what local users submit.
        Pickup = "pickup",
        /// Delivers to a command.
        Pipe = "pipe",
        /// A command.
        Postalias = "postalias",
        /// A command.
        Postcat = "postcat",
        /// A command.
        Postconf = "postconf",
        /// A command that puts a message into the maildrop queue.
        Postdrop = "postdrop",
        /// The command that starts and stops Postfix.
        Postfix = "postfix",
        /// The script behind that command.
        PostfixScript = "postfix-script",
        /// A command.
        PostTlsFinger = "posttls-finger",
        /// A command.
        PostInstall = "post-install",
        /// A command.
        Postkick = "postkick",
        /// A command.
        Postlock = "postlock",
        /// A command that logs what it is given.
        Postlog = "postlog",
        /// Writes the log file where there is no syslog.
        Postlogd = "postlogd",
        /// A command.
        Postmap = "postmap",
        /// A command.
        Postmulti = "postmulti",
        /// A command that shows the queue.
        Postqueue = "postqueue",
        /// Stands before smtpd and keeps robots out.
        Postscreen = "postscreen",
        /// A command that changes the queue.
        Postsuper = "postsuper",
        /// A script.
        PostTls = "postfix-tls-script",
        /// A script.
        PostWrapper = "postmulti-script",
        /// Looks up tables for others.
        Proxymap = "proxymap",
        /// Writes tables for others.
        Proxywrite = "proxywrite",
        /// The queue manager.
        Qmgr = "qmgr",
        /// Takes mail by QMQP.
        Qmqpd = "qmqpd",
        /// Another name of error: defers all that it is given.
        Retry = "retry",
        /// Another name of trivial-rewrite.
        Rewrite = "rewrite",
        /// Keeps connections for smtp.
        Scache = "scache",
        /// The command by which local programs submit mail.
        Sendmail = "sendmail",
        /// Lists the queue.
        Showq = "showq",
        /// Delivers by SMTP.
        Smtp = "smtp",
        /// Takes mail by SMTP.
        Smtpd = "smtpd",
        /// Runs a command for a client.
        Spawn = "spawn",
        /// Keeps TLS sessions and random numbers.
        Tlsmgr = "tlsmgr",
        /// TLS for others.
        Tlsproxy = "tlsproxy",
        /// Another name of bounce.
        Trace = "trace",
        /// Resolves and rewrites addresses.
        TrivialRewrite = "trivial-rewrite",
        /// One of them whose name is lost: rsyslog cuts `postfix/smtpd` at its slash where it writes RFC 5424 or
        /// `%programname%`. What it says tells most lines apart.
        Unnamed = "other",
        /// Verifies addresses.
        Verify = "verify",
        /// Delivers to virtual mailboxes.
        Virtual = "virtual",
    }
}

words! {
    /// Where in a session or a message something happened.
    Stage {
        /// The client has connected.
        Connect = "CONNECT",
        /// HELO.
        Helo = "HELO",
        /// EHLO.
        Ehlo = "EHLO",
        /// STARTTLS.
        StartTls = "STARTTLS",
        /// AUTH.
        Auth = "AUTH",
        /// MAIL FROM.
        Mail = "MAIL",
        /// RCPT TO.
        Rcpt = "RCPT",
        /// DATA, its content included.
        Data = "DATA",
        /// BDAT, its content included.
        Bdat = "BDAT",
        /// The message is complete.
        EndOfMessage = "END-OF-MESSAGE",
        /// RSET.
        Rset = "RSET",
        /// NOOP.
        Noop = "NOOP",
        /// VRFY.
        Vrfy = "VRFY",
        /// ETRN.
        Etrn = "ETRN",
        /// HELP.
        Help = "HELP",
        /// QUIT.
        Quit = "QUIT",
        /// XCLIENT.
        Xclient = "XCLIENT",
        /// XFORWARD.
        Xforward = "XFORWARD",
        /// A command that Postfix does not know.
        Unknown = "UNKNOWN",
        /// postscreen: a command that it knows but does not do.
        Unimplemented = "UNIMPLEMENTED",
        /// A header of the message (header checks).
        Header = "header",
        /// The message's body (body checks).
        Body = "body",
        /// The message's structure, or its whole content.
        Content = "content",
        /// None of these.
        Other = "other",
    }
}

words! {
    /// What Postfix did with a client, a sender, a recipient or a message.
    Action {
        /// Refused it.
        Reject = "reject",
        /// Would have refused it (`warn_if_reject`, `soft_bounce` has none).
        RejectWarning = "reject_warning",
        /// Took it and threw it away.
        Discard = "discard",
        /// Sends it through a content filter.
        Filter = "filter",
        /// Put it on hold.
        Hold = "hold",
        /// Sends it to another address.
        Redirect = "redirect",
        /// Sends a copy.
        Bcc = "bcc",
        /// Delivers it later.
        Delay = "delay",
        /// Added a header.
        Prepend = "prepend",
        /// Replaced a line.
        Replace = "replace",
        /// Removed a line.
        Strip = "strip",
        /// Let it pass without further checks.
        Pass = "pass",
        /// Only logs it (`WARN`).
        Warn = "warn",
        /// Only logs it (`WARN` of header and body checks).
        Warning = "warning",
        /// Only logs it (`INFO`).
        Info = "info",
        /// Closed the connection without an answer.
        Hangup = "hangup",
        /// Permitted it (`smtpd_log_access_permit_actions`).
        Permit = "permit",
        /// Ended a TLS session without a certificate that it asked for.
        Abort = "abort",
        /// A milter refused it.
        MilterReject = "milter-reject",
        /// A milter threw it away.
        MilterDiscard = "milter-discard",
        /// A milter put it on hold.
        MilterHold = "milter-hold",
        /// A header or body check of what milters add acted.
        MilterCheck = "milter-check",
        /// A before-queue filter took it.
        ProxyAccept = "proxy-accept",
        /// A before-queue filter refused it.
        ProxyReject = "proxy-reject",
        /// None of these.
        Other = "other",
    }
}

words! {
    /// Why something was refused, by the words of Postfix's own replies.
    Cause {
        /// A DNS list has the client or the sender.
        Dnsbl = "dnsbl",
        /// The client's address has no name, or not one that leads back.
        Rdns = "rdns",
        /// The name that the client gave itself.
        Helo = "helo",
        /// The sender's address.
        Sender = "sender",
        /// The recipient's address is not valid, or its domain is not known.
        Recipient = "recipient",
        /// There is no such recipient.
        RecipientUnknown = "recipient_unknown",
        /// Postfix does not relay for this client to this domain.
        RelayDenied = "relay_denied",
        /// The client is to come again.
        Greylist = "greylist",
        /// Too many connections, messages, recipients or errors.
        RateLimit = "rate_limit",
        /// The message is too large.
        Size = "size",
        /// A full mailbox or queue.
        Storage = "storage",
        /// A milter said so.
        Milter = "milter",
        /// A before-queue filter said so.
        Proxy = "proxy",
        /// The client broke the protocol.
        Protocol = "protocol",
        /// TLS is missing, or its certificate.
        Tls = "tls",
        /// The client has not logged in, or not as the owner of the sender's address.
        Auth = "auth",
        /// A header or body check.
        Content = "content",
        /// An access table or a plain restriction.
        Access = "access",
        /// A policy service, or something else that words its own reply.
        Policy = "policy",
        /// SPF, DKIM or DMARC, as policy services word it.
        Authentication = "authentication",
        /// A lookup or a verification of addresses failed for the moment.
        Temporary = "temporary",
        /// None of these.
        Other = "other",
    }
}

words! {
    /// How a session was lost.
    Lost {
        /// The connection broke.
        Lost = "lost",
        /// The client took too long.
        Timeout = "timeout",
        /// The client made too many errors.
        Errors = "errors",
        /// The client sent commands before it was asked to. The session goes on.
        Pipelining = "pipelining",
    }
}

words! {
    /// What became of a recipient.
    Status {
        /// Delivered.
        Sent = "sent",
        /// To be tried again.
        Deferred = "deferred",
        /// Refused for good.
        Bounced = "bounced",
        /// Given up after too long a time.
        Expired = "expired",
        /// A probe (`sendmail -bv`, address verification) found that it can be delivered.
        Deliverable = "deliverable",
        /// A probe found that it cannot.
        Undeliverable = "undeliverable",
        /// None of these.
        Other = "other",
    }
}

words! {
    /// What a notification is about.
    Notification {
        /// Mail could not be delivered.
        NonDelivery = "non-delivery",
        /// Mail is late.
        Delay = "delay",
        /// A report that the sender asked for.
        DeliveryStatus = "delivery status",
    }
}

words! {
    /// Direction of a TLS session.
    Direction {
        /// From a client.
        Inbound = "inbound",
        /// To a server.
        Outbound = "outbound",
    }
}

words! {
    /// What is known of the other side's certificate.
    Trust {
        /// It showed none.
        Anonymous = "Anonymous",
        /// No authority that Postfix trusts has signed it.
        Untrusted = "Untrusted",
        /// A trusted authority has signed it.
        Trusted = "Trusted",
        /// It is that of the expected host.
        Verified = "Verified",
    }
}

words! {
    /// How a message left the queue.
    Removal {
        /// All of its recipients are done with.
        Done = "done",
        /// cleanup: its client gave up, or it was refused.
        Canceled = "canceled",
        /// cleanup: it was to be thrown away.
        Discarded = "discarded",
        /// postsuper: somebody deleted it.
        Deleted = "deleted",
    }
}

words! {
    /// A test of postscreen that a client failed.
    Test {
        /// It spoke before the greeting.
        Pregreet = "pregreet",
        /// DNS lists have it.
        Dnsbl = "dnsbl",
        /// It hung up during a test.
        Hangup = "hangup",
        /// It took too long for a command.
        CommandTimeLimit = "command_time_limit",
        /// Its command was too long.
        CommandLengthLimit = "command_length_limit",
        /// It sent too many commands.
        CommandCountLimit = "command_count_limit",
        /// It ended a line with a bare newline.
        BareNewline = "bare_newline",
        /// It spoke another protocol.
        NonSmtpCommand = "non_smtp_command",
        /// It sent commands together without being allowed to.
        Pipelining = "pipelining",
        /// A list of the administrator refuses it.
        Denylist = "denylist",
        /// It came by an address that must not give it a pass (`postscreen_whitelist_interfaces`).
        AllowlistVeto = "allowlist_veto",
        /// It sent DATA or BDAT without a recipient.
        DataWithoutRecipient = "data_without_recipient",
    }
}

words! {
    /// Why postscreen lets a client pass.
    Pass {
        /// It has just passed all tests.
        New = "new",
        /// It passed them before.
        Old = "old",
        /// A list of the administrator allows it.
        Allowlist = "allowlist",
    }
}

words! {
    /// How bad a message that begins with such a word is.
    Severity {
        /// `warning:`
        Warning = "warning",
        /// `error:`
        Error = "error",
        /// `fatal:`: the program ends.
        Fatal = "fatal",
        /// `panic:`: the program found itself to be broken, and ends.
        Panic = "panic",
    }
}

words! {
    /// Why a connection to a server could not be made or kept.
    Failure {
        /// Nobody listens there.
        Refused = "refused",
        /// There was no answer in time.
        Timeout = "timeout",
        /// The network or the host cannot be reached.
        Unreachable = "unreachable",
        /// The server broke the connection.
        Lost = "lost",
        /// Names could not be looked up.
        Dns = "dns",
        /// TLS failed, or is not offered.
        Tls = "tls",
        /// The server refused to talk.
        Rejected = "rejected",
        /// No permission, no socket, no such file.
        Local = "local",
        /// None of these.
        Other = "other",
    }
}
