//! Lines that the benches count: a few hot proxies, as many servers as asked for, every fourth status and method
//! another one. The same arguments give the same bytes.

/// `lines` HTTP lines over `servers` servers: line i is of server i modulo `servers`, so that each has its turn.
#[allow(dead_code, reason = "not every bench needs both")]
pub(crate) fn block(lines: usize, servers: usize) -> Vec<u8> {
    of_servers((0..lines).map(|line| line % servers))
}

/// One HTTP line for each of `servers`.
pub(crate) fn of_servers(servers: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut block = Vec::new();
    for (line, server) in servers.into_iter().enumerate() {
        // One frontend and one backend for each server, so that each makes one row in each group that it names.
        let (frontend, backend) = (["http-in", "https-in~", "api-in"][server % 3], server % 8);
        let (method, status) = match server % 4 {
            0 => ("POST", [201, 404][server / 4 % 2]),
            _ => ("GET", 200),
        };
        let ms = line * 7 % 1000;
        let text = format!(
            "Feb  1 12:14:14 lb1 haproxy[1234]: 10.0.{}.{}:{} [01/Feb/2026:12:14:14.{:03}] {frontend} back{backend}/srv{server} \
             {}/0/{}/{ms}/{} {status} {} - - ---- 12/11/{}/1/0 0/0 \"{method} /shop/item/{}?page=2 HTTP/1.1\"\n",
            line % 200,
            line % 250,
            32_768 + line % 30_000,
            ms,
            line % 3,
            line % 5,
            ms + 7,
            200 + line * 31 % 90_000,
            line % 9,
            line % 10_000,
        );
        block.extend_from_slice(text.as_bytes());
    }
    block
}
