//! What the generated traffic is like: who is asked for what, how often, and how long it takes.
//!
//! `generate.rs` draws from these tables and writes the lines.

/// Slots in every lookup table of a distribution: one draw of 12 bits picks one.
const SLOTS: usize = 4096;
/// A frontend's name as `%ft` writes it (`~` marks TLS), and its weight.
pub(crate) const FRONTENDS: [(&str, f64); 3] = [("http-in", 22.0), ("https-in~", 63.0), ("internal-api", 15.0)];

/// Which of `BACKENDS` each frontend routes to.
pub(crate) const ROUTES: [&[usize]; 3] = [&[0, 2, 3, 4, 5], &[0, 1, 2, 3, 4, 5, 6], &[1, 4, 5, 7]];

/// Backend, its servers' name prefix, number of servers, weight, and whether it sets a cookie.
pub(crate) const BACKENDS: [(&str, &str, usize, f64, bool); 8] = [
    ("be_shop_web", "shop-web", 9, 34.0, true),
    ("be_api_v2", "api", 8, 24.0, false),
    ("static", "srv", 4, 15.0, false),
    ("be_images", "img-cache", 5, 10.0, false),
    ("be_search", "search", 5, 7.0, false),
    ("be_auth", "auth", 3, 5.0, false),
    ("be_checkout", "checkout", 4, 3.5, true),
    ("be_legacy_erp", "erp", 2, 1.5, false),
];

/// Methods and their weights; from `WRITING_FROM` on they change something on the server.
pub(crate) const METHODS: [(&str, f64); 7] =
    [("GET", 78.0), ("HEAD", 1.5), ("OPTIONS", 1.7), ("POST", 14.0), ("PUT", 2.6), ("DELETE", 1.2), ("PATCH", 1.0)];
pub(crate) const WRITING_FROM: usize = 3;
/// The method slot of a request that could not be parsed.
pub(crate) const NO_METHOD: usize = METHODS.len();

/// Every status the log can hold, with its weight for reading and for writing methods. The aborted
/// requests bring their own, so some have no weight here.
pub(crate) const STATUSES: [(&str, f64, f64); 20] = [
    ("200", 81.0, 62.0),
    ("201", 0.0, 14.0),
    ("202", 0.0, 2.0),
    ("204", 0.6, 9.0),
    ("206", 0.9, 0.0),
    ("301", 1.2, 0.0),
    ("302", 2.4, 4.5),
    ("303", 0.0, 1.5),
    ("304", 8.0, 0.0),
    ("400", 0.3, 2.0),
    ("401", 0.8, 1.5),
    ("403", 0.4, 0.8),
    ("404", 3.6, 0.6),
    ("408", 0.0, 0.0),
    ("422", 0.0, 1.2),
    ("429", 0.2, 0.3),
    ("500", 0.4, 0.5),
    ("502", 0.0, 0.0),
    ("503", 0.1, 0.1),
    ("504", 0.0, 0.0),
];
/// The status of a request whose client left before any response: HAProxy writes -1.
pub(crate) const NO_STATUS: usize = STATUSES.len();

/// How far an aborted request went, and what HAProxy writes about it.
pub(crate) struct Abort {
    /// The first two letters of the termination state.
    pub(crate) state: &'static str,
    pub(crate) status: &'static str,
    /// How many of TR, Tw, Tc and Tr were reached; the rest are -1.
    pub(crate) reached: usize,
    /// Which server name stands in the line.
    pub(crate) server: ServerName,
    /// Milliseconds spent in the phase that failed, or 0 for a short random time.
    pub(crate) waited_ms: u32,
    pub(crate) bytes: u32,
    pub(crate) weight: f64,
}

pub(crate) enum ServerName {
    /// No backend was chosen: the frontend's own name, and `<NOSRV>`.
    Frontend,
    /// No server was chosen: `backend/<NOSRV>`.
    Backend,
    Named,
}

const fn abort(
    state: &'static str,
    status: &'static str,
    reached: usize,
    server: ServerName,
    (waited_ms, bytes, weight): (u32, u32, f64),
) -> Abort {
    Abort { state, status, reached, server, waited_ms, bytes, weight }
}

pub(crate) const ABORTS: [Abort; 14] = [
    abort("PR", "400", 0, ServerName::Frontend, (0, 187, 1.2)),
    abort("CR", "400", 0, ServerName::Frontend, (0, 0, 1.6)),
    abort("cR", "408", 0, ServerName::Frontend, (10_000, 212, 1.5)),
    abort("PR", "403", 1, ServerName::Frontend, (0, 192, 1.5)),
    abort("LR", "301", 1, ServerName::Frontend, (0, 142, 4.0)),
    abort("SC", "503", 1, ServerName::Backend, (0, 217, 0.7)),
    abort("sQ", "503", 2, ServerName::Backend, (5_000, 217, 0.5)),
    abort("CC", "503", 2, ServerName::Named, (0, 0, 0.8)),
    abort("SC", "503", 2, ServerName::Named, (3_000, 217, 0.8)),
    abort("sC", "503", 2, ServerName::Named, (20_000, 217, 0.4)),
    abort("CH", "-1", 3, ServerName::Named, (0, 0, 3.0)),
    abort("SH", "502", 3, ServerName::Named, (0, 208, 1.0)),
    abort("sH", "504", 3, ServerName::Named, (50_000, 194, 1.0)),
    abort("CD", "200", 4, ServerName::Named, (0, 0, 6.0)),
];
/// Of 4096 lines, how many are aborted: 2.4 %.
pub(crate) const ABORTED: u32 = 100;

/// SplitMix64: small, quick, and good enough for a log.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        (((self.next() >> 32) * u64::from(bound)) >> 32) as u32
    }

    fn slot(&mut self) -> usize {
        (self.next() >> 52) as usize
    }

    /// A standard normal value as the sum of twelve uniform ones: additions only, so that every
    /// machine rounds alike.
    fn normal(&mut self) -> f64 {
        let uniform = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
        (0..12).map(|_| uniform(self.next())).sum::<f64>() - 6.0
    }
}

/// `e^x` by squaring, which every machine rounds alike; close enough for a distribution's shape.
fn exponential(x: f64) -> f64 {
    (0..12).fold(1.0 + x / 4096.0, |power, _| power * power)
}

/// A discrete distribution: one table look-up a draw.
pub(crate) struct Weighted(Vec<u16>);

impl Weighted {
    pub(crate) fn new(weights: impl Iterator<Item = f64>) -> Self {
        let weights: Vec<f64> = weights.collect();
        let total: f64 = weights.iter().sum();
        let mut slots = Vec::with_capacity(SLOTS);
        let mut reached = 0.0;
        for (index, weight) in weights.iter().enumerate() {
            reached += weight;
            let end = (reached / total * SLOTS as f64 + 0.5) as usize;
            slots.resize(end.clamp(slots.len(), SLOTS), index as u16);
        }
        slots.resize(SLOTS, 0);
        Self(slots)
    }

    /// Popularity falling with the rank, as servers and pages have it.
    pub(crate) fn zipf(count: usize) -> Self {
        Self::new((1..=count).map(|rank| 1.0 / (rank as f64 + 1.5)))
    }

    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        usize::from(self.0[random.slot()])
    }
}

/// A log-normal distribution of whole numbers, sampled once.
pub(crate) struct LogNormal(Vec<u32>);

impl LogNormal {
    /// `median` and `spread` (sigma of the logarithm); values lie in `0..=limit`.
    pub(crate) fn new(random: &mut Random, median: f64, spread: f64, limit: u32) -> Self {
        let draw = |_| (median * exponential(spread * random.normal())) as u32;
        Self((0..SLOTS).map(draw).map(|value| value.min(limit)).collect())
    }

    pub(crate) fn draw(&self, random: &mut Random) -> u32 {
        self.0[random.slot()]
    }
}

/// A part of a request's path or query.
pub(crate) enum Piece {
    Text(String),
    /// A number of up to this many digits.
    Number(u32),
    /// This many hexadecimal digits, at most 16.
    Hex(u32),
    /// One of `WORDS`.
    Word,
}

pub(crate) const WORDS: [&str; 24] = [
    "winter",
    "jacket",
    "oak-table",
    "lamp",
    "usb-cable",
    "coffee",
    "grinder",
    "blue",
    "running-shoes",
    "garden",
    "hose",
    "led-strip",
    "notebook",
    "a5",
    "steel",
    "bottle",
    "wool",
    "socks",
    "tent",
    "2p",
    "bike",
    "helmet",
    "kids",
    "sale",
];

const AREAS: [&str; 20] = [
    "products",
    "orders",
    "customers",
    "carts",
    "sessions",
    "inventory",
    "reviews",
    "wishlists",
    "invoices",
    "shipments",
    "returns",
    "coupons",
    "categories",
    "brands",
    "stores",
    "prices",
    "recommendations",
    "notifications",
    "subscriptions",
    "payments",
];

/// Shapes that lead every shop's list. `{n8}` is a number of up to 8 digits, `{x16}` stands for 16
/// hexadecimal digits, `{w}` for a word.
const POPULAR: [&str; 11] = [
    "/?utm_source=newsletter&utm_medium=email&utm_campaign={w}-{w}&gclid={x16}",
    "/assets/js/app.{x16}.bundle.min.js?v={n5}&theme=light&module=checkout",
    "/assets/css/main.{x8}.css?v={n5}&theme=light&dpr=2&build={x8}",
    "/",
    "/api/v2/session/refresh?client=web&locale=en-GB&build={n6}&request_id={x16}",
    "/search?q={w}+{w}&page={n2}&sort=relevance&per_page=48&session={x16}",
    "/index.html?x={n1}",
    "/favicon.ico",
    "/login?next=%2Faccount%2Forders%2F{n8}&return_token={x16}{x8}",
    "/health",
    "/api/v2/events?batch={x16}&count={n2}&source=browser",
];

/// Shapes that every one of `AREAS` has.
const PER_AREA: [&str; 9] = [
    "/api/v1/{area}/{n8}?embed=owner,tags,price&trace={x16}{x4}",
    "/api/v2/{area}?limit={n2}&cursor={x16}{x16}&fields=id,name,updated_at",
    "/api/v2/{area}/{x8}-{x4}-{x4}-{x4}-{x12}?expand=items,prices",
    "/api/v1/{area}/{n8}/history?from=2026-01-{n2}&tz=Europe%2FBerlin&format=json&limit=100",
    "/{area}/{w}-{w}-{n7}.html?utm_source=newsletter&utm_campaign={w}&ref={x10}",
    "/{area}?page={n3}&color={w}&size={n2}&in_stock=true&view=grid&sort=price_asc&session={x16}",
    "/media/{area}/{x2}/{x2}/{x16}_1200x800.webp?fit=crop&quality=80",
    "/static/{area}/{w}/{w}-{n4}.png?w=640&h=480&q=85&fit=crop&hash={x16}",
    "/account/{area}/{n9}/edit?token={x16}{x8}&lang=en&return_to=%2Faccount",
];

/// The 191 request shapes, the popular ones first.
pub(crate) fn request_shapes() -> Vec<Vec<Piece>> {
    let mut templates: Vec<String> = POPULAR.iter().map(|shape| shape.to_string()).collect();
    for area in AREAS {
        templates.extend(PER_AREA.iter().map(|shape| shape.replace("{area}", area)));
    }
    // The shapes of one area would otherwise stand side by side in the order of popularity. The
    // order is the same for every seed: it belongs to the site, not to the day.
    let mut random = Random(7);
    let rest = &mut templates[POPULAR.len()..];
    for last in (1..rest.len()).rev() {
        rest.swap(last, random.below(last as u32 + 1) as usize);
    }
    templates.iter().map(|template| pieces(template)).collect()
}

fn pieces(template: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for part in template.split_inclusive(['{', '}']) {
        let text = part.trim_end_matches(['{', '}']);
        let number = || text[1..].parse().unwrap_or(1);
        match (part.ends_with('}'), text.as_bytes().first()) {
            (_, None) => {}
            (true, Some(b'n')) => pieces.push(Piece::Number(number())),
            (true, Some(b'x')) => pieces.push(Piece::Hex(number())),
            (true, _) => pieces.push(Piece::Word),
            (false, _) => pieces.push(Piece::Text(text.to_owned())),
        }
    }
    pieces
}

pub(crate) const HOSTS: [&str; 3] = ["www.example.com", "api.example.com", "shop.example.org"];
pub(crate) const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "curl/8.5.0",
    "okhttp/4.12.0",
];
