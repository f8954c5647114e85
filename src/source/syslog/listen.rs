//! Making the sockets, at start, when what goes wrong can still be told; and taking a Unix socket's file away again.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use rustix::net::sockopt;
use tokio_rustls::TlsAcceptor;

use super::drops::Drops;
use super::{Error, Options, Transport, Warning};
use crate::source::Identity;

/// A socket that receives from now on.
pub(super) struct Listening {
    pub(super) socket: Socket,
    pub(super) address: Transport,
    pub(super) warnings: Vec<Warning>,
}

/// Both are non-blocking.
pub(super) enum Socket {
    Datagrams(DatagramSocket),
    Streams(Acceptor),
}

/// A bound UDP or Unix datagram socket.
pub(super) struct DatagramSocket {
    pub(super) socket: Datagram,
    /// What the kernel dropped; `None` where it drops nothing, or does not tell.
    pub(super) drops: Option<Drops>,
    /// Bytes.
    pub(super) receive_buffer: usize,
}

/// Either kind.
pub(super) enum Datagram {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// What accepts connections.
pub(super) enum Acceptor {
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
    Unix(UnixListener),
}

/// Makes the socket that `options` ask for, and the file of a Unix socket.
pub(super) fn listen(options: &Options) -> Result<(Listening, Option<SocketFile>), Error> {
    let transport = &options.transport;
    let failed = |error| Error::Listen { transport: transport.clone(), error };
    match transport {
        Transport::Udp(address) => Ok((udp(*address, options).map_err(failed)?, None)),
        Transport::Tcp(address) => {
            let (listener, address) = tcp(*address).map_err(failed)?;
            Ok((Listening::to(Acceptor::Tcp(listener), Transport::Tcp(address)), None))
        }
        Transport::Tls(address) => {
            let files = options.tls.as_ref().ok_or_else(|| Error::NoCertificate(transport.clone()))?;
            let tls = files
                .acceptor()
                .map_err(|error| Error::Tls { transport: transport.clone(), error: Box::new(error) })?;
            let (listener, address) = tcp(*address).map_err(failed)?;
            Ok((Listening::to(Acceptor::Tls(listener, tls), Transport::Tls(address)), None))
        }
        Transport::Unix(path) => {
            make_way(path, transport)?;
            let listener = UnixListener::bind(path).map_err(failed)?;
            let file = SocketFile::of(path, options.socket_mode).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            Ok((Listening::to(Acceptor::Unix(listener), transport.clone()), Some(file)))
        }
        Transport::UnixDatagram(path) => {
            make_way(path, transport)?;
            let socket = UnixDatagram::bind(path).map_err(failed)?;
            let file = SocketFile::of(path, options.socket_mode).map_err(failed)?;
            socket.set_nonblocking(true).map_err(failed)?;
            // Its sender's buffer is what counts: the receiver's is the number of datagrams in
            // net.unix.max_dgram_qlen.
            let receive_buffer = sockopt::socket_recv_buffer_size(&socket).map_err(|error| failed(error.into()))?;
            let socket = DatagramSocket { socket: Datagram::Unix(socket), drops: None, receive_buffer };
            let listening =
                Listening { socket: Socket::Datagrams(socket), address: transport.clone(), warnings: Vec::new() };
            Ok((listening, Some(file)))
        }
    }
}

impl Listening {
    fn to(acceptor: Acceptor, address: Transport) -> Self {
        Listening { socket: Socket::Streams(acceptor), address, warnings: Vec::new() }
    }
}

fn udp(address: SocketAddr, options: &Options) -> io::Result<Listening> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    let asked = options.receive_buffer_bytes;
    let receive_buffer = size_receive_buffer(&socket, asked)?;
    let mut warnings = Vec::new();
    if receive_buffer < asked {
        warnings.push(Warning::SmallBuffer { asked, given: receive_buffer });
    }
    let drops = match Drops::of(&socket, address.is_ipv6()) {
        Ok(drops) => Some(drops),
        Err(error) => {
            warnings.push(Warning::UnknownDrops(error.to_string()));
            None
        }
    };
    let address = Transport::Udp(socket.local_addr()?);
    let socket = DatagramSocket { socket: Datagram::Udp(socket), drops, receive_buffer };
    Ok(Listening { socket: Socket::Datagrams(socket), address, warnings })
}

/// Asks for a receive buffer of `asked` bytes; the bytes that the kernel gave.
fn size_receive_buffer(socket: &impl AsFd, asked: usize) -> io::Result<usize> {
    // More than i32::MAX / 2 would overflow in the kernel, which doubles the number for its own bookkeeping.
    let asked = asked.min(1 << 30);
    if sockopt::set_socket_recv_buffer_size_force(socket, asked).is_err() {
        sockopt::set_socket_recv_buffer_size(socket, asked)?;
    }
    Ok(sockopt::socket_recv_buffer_size(socket)? / 2)
}

fn tcp(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Removes a socket's file that a program left behind, so that its path is free.
fn make_way(path: &Path, transport: &Transport) -> Result<(), Error> {
    let failed = |error| Error::Listen { transport: transport.clone(), error };
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(Error::NotASocket(transport.clone())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    // A socket of any kind that somebody reads takes this, or refuses it for its kind. It never blocks.
    match UnixDatagram::unbound().and_then(|probe| probe.connect(path)) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(failed(error)),
        _ => Err(Error::InUse(transport.clone())),
    }
}

/// The file of a Unix socket. Dropping it removes it, if it is still the same.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

impl SocketFile {
    /// Of a socket that was just bound; its permissions become `mode`.
    fn of(path: &Path, mode: u32) -> io::Result<Self> {
        let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
        fs::set_permissions(path, Permissions::from_mode(mode & 0o777))?;
        Ok(file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another program may have taken the path since.
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // A file that stays is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let found = fs::symlink_metadata(path)?;
    Ok(Identity { device: found.dev(), inode: found.ino() })
}
