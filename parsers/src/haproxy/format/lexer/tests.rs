//! The lexer on what people write, on what they mistype, and on noise.

use proptest::prelude::*;

use super::*;

/// One word an item: literals in quotes, `_` for a separator, fields, with the flags that are not the default.
fn outline(text: &str) -> String {
    let format = lex(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
    let words = format.items.iter().map(|item| match &item.kind {
        Kind::Literal(text) => format!("'{text}'"),
        Kind::Separator => "_".to_owned(),
        Kind::Alias(_) | Kind::Expression(_) => {
            let Flags { quote, hexa, mandatory, escape, bin, encoding } = item.flags;
            let on = [(quote, "Q"), (hexa, "X"), (!mandatory, "m"), (escape, "E"), (bin, "b")];
            let on = on.iter().filter(|(on, _)| *on).map(|(_, flag)| *flag).collect::<String>();
            let encoding = match encoding {
                Encoding::None => "",
                Encoding::Json => "j",
                Encoding::Cbor => "c",
            };
            format!(
                "{}{}{on}{encoding}",
                item.field().unwrap(),
                if on.is_empty() && encoding.is_empty() { "" } else { ":" }
            )
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn refused(text: &str, column: usize, message: &str) {
    let mistake = lex(text).expect_err(text);
    assert!(mistake.message.contains(message), "{text}: {mistake:?}");
    assert_eq!(mistake.column, column, "{text}: {mistake:?}");
}

#[test]
fn default_formats() {
    assert_eq!(
        outline(
            "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs \
             %{+Q}r %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] \
             %[ssl_fc_sni]/%sslv/%sslc"
        ),
        "client_ip ':' client_port _ '[' accept_date ']' _ frontend_name _ backend_name '/' server_name _ \
         time_request_ms '/' time_queue_ms '/' time_connect_ms '/' time_response_ms '/' time_active_ms _ status_code _ \
         bytes_read _ request_cookie _ response_cookie _ termination_state _ actconn '/' feconn '/' beconn '/' srv_conn \
         '/' retries _ srv_queue '/' backend_queue _ request_headers _ response_headers _ http_request:Q _ fc_err '/' \
         ssl_fc_err '/' ssl_c_err '/' ssl_c_ca_err '/' ssl_fc_is_resumed _ ssl_fc_sni '/' ssl_version '/' ssl_ciphers"
    );
    assert_eq!(
        outline("%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %hrl"),
        "client_ip _ '-' _ '-' _ '[' accept_date:Q ']' _ http_request:Q _ status_code:Q _ bytes_read:Q _ '\"\"' _ \
         '\"\"' _ client_port:Q _ accept_date_ms:Q _ frontend_name:Q _ request_headers:Q"
    );
}

#[test]
fn spaces_merge_and_percents_are_literal() {
    assert_eq!(outline("  %ci   %{+X}o  a%%b c%%  %cp "), "client_ip _ 'a%b' _ 'c%' _ client_port:X _");
    assert_eq!(outline("%%%%%ci%%ci\t%cp"), "'%%' client_ip '%ci\t' client_port");
    assert_eq!(outline("%-%]%é"), "'-]é'");
    assert_eq!(outline(""), "");
    let remarks = lex("a%-").unwrap().remarks;
    assert_eq!(
        remarks,
        [Mistake { column: 1, message: "'%' is dropped here; a percent sign is written %%".to_owned() }]
    );
}

#[test]
fn flags_add_up() {
    assert_eq!(outline("%{+Q,+X,-M,+E}ci %ci"), "client_ip:QXmE _ client_ip");
    assert_eq!(outline("%{+Q}o%{+X}o%ci%{-Q,-X}cp%{}f"), "client_ip:QX client_port frontend_name:QX");
    assert_eq!(outline("%{Q,+Z,,+X-Q,+ Q}ci"), "client_ip");
    assert_eq!(outline("%{x+Q}ci"), "client_ip:Q");
    assert_eq!(outline("%{+Q,+X}[src]%{+X}o%[src]%ci"), "client_ip:Q client_ip client_ip:X");
    let remarks = lex("%{Q,+Z}ci").unwrap().remarks;
    assert_eq!(remarks.iter().map(|remark| remark.column).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn encodings_are_settled_at_the_end() {
    assert_eq!(outline("%(a)ci %{+json}o %(b){+E}cp"), "a:j _ b:j");
    assert_eq!(lex("%(a)ci %{+json}o").unwrap().encoding, Encoding::Json);
    assert_eq!(outline("%{+json,+cbor}o%(a)ci"), "a:j");
    assert_eq!(outline("%{+cbor,+bin}o%(a){-cbor}ci"), "a:bc");
    assert!(lex("%{+cbor,+bin}o%(a)ci").unwrap().bin);
    assert_eq!(outline("%{+json}o%ci%{-json}o%cp"), "client_ip:j client_port");
    assert_eq!(lex("%{+json}o%ci%{-json}o%cp").unwrap().encoding, Encoding::None);
    assert_eq!(outline("%{+json,+bin,+E}ci%{+E}cp"), "client_ip:j client_port:E");
    let remarks = lex("%{+json}o %ci %(a)cp").unwrap().remarks;
    assert_eq!(remarks.len(), 1);
    assert_eq!(remarks[0].column, 10);
}

#[test]
fn names_and_types() {
    assert_eq!(outline("%(took:sint){+Q}Ta %()ci %(:str)cp %(a-b_1)[src]"), "took:Q _ client_ip _ client_port _ a-b_1");
    let items = lex("%(x:raw)[src]%(y:bool)ci%(:str)cp").unwrap().items;
    assert_eq!(items.iter().map(|item| item.typed).collect::<Vec<_>>(), [Type::Raw, Type::Bool, Type::Str].map(Some));
    assert_eq!(items[0].canonical(), Some("client_ip"));
    assert_eq!(outline("%(x)%%(y)-"), "'%-'");
    refused("%(a b)ci", 3, "' ' cannot stand");
    refused("%(a:int)ci", 4, "unknown type 'int'");
    refused("%(a:)ci", 4, "unknown type ''");
    refused("%(a:str:str)ci", 7, "':' cannot stand");
    refused("%(abc", 5, "')' is missing");
    refused("%(abc)", 0, "ends inside of an item");
    refused("%(abc) x", 0, "no alias follows");
    refused("%{+Q}(abc)ci", 5, "must follow the flags");
}

#[test]
fn mistakes_point_at_their_place() {
    refused("a %", 2, "ends inside of an item");
    refused("a % b", 2, "no alias follows");
    refused("a %1", 2, "no alias follows");
    refused("%ci %xy", 4, "unknown alias %xy");
    refused("%ci1", 0, "did you mean %ci (client_ip)? What follows it, '1',");
    refused("%{+Q}1x", 0, "unknown alias %1x");
    refused("%Ci", 0, "it was removed in HAProxy 2.4: write %ci");
    refused("%{+Q", 0, "'}' of these flags is missing");
    refused("%{+Q} %ci", 5, "must follow the flags");
    refused("%{+Q}", 0, "ends inside of an item");
    refused("%ci\0", 3, "NUL");
    refused("é %[src", 8, "']' is missing");
    refused("%[]", 2, "a sample fetch must follow");
    refused("%[ src]", 2, "a sample fetch must follow");
    refused("%[src ]", 5, "but found ' '");
    refused("%[src,]", 6, "a converter must follow");
    refused("%[src(a]", 5, "its ')' is missing");
    refused("%[src(\"a]", 5, "a \" inside of it is not closed");
    refused("%[src(a\\)", 9, "']' is missing");
}

#[test]
fn quotes_and_nothing() {
    let item = |text: &str| lex(text).unwrap().items.remove(0);
    for (text, is_quoted, missing) in [
        ("%{+Q}r", true, Missing::Never),
        ("%{+Q}ST", false, Missing::Never),
        ("%{+Q}cp", false, Missing::Quotes),
        ("%{+Q,+X}ci", false, Missing::Quotes),
        ("%{+Q}[status]", true, Missing::Quotes),
        ("%[status]", false, Missing::Dash),
        ("%{-M}[status]", false, Missing::Nothing),
        ("%{+Q}hr", true, Missing::Nothing),
        ("%{+Q}hrl", false, Missing::Nothing),
        ("%CC", false, Missing::Dash),
        ("%HQ", false, Missing::Nothing),
        ("literal", false, Missing::Never),
    ] {
        assert_eq!((item(text).is_quoted(), item(text).missing()), (is_quoted, missing), "{text}");
    }
}

proptest! {
    /// Neither noise nor pieces in any order make it panic, and columns are places in the text.
    #[test]
    fn never_panics(text in prop_oneof![
        ".*",
        prop::collection::vec(prop::sample::select(vec![
            "%", "{", "}", "[", "]", "(", ")", "\"", "'", "\\", ",", "+", "-", " ", ":", "o", "ci", "r", "src", "hex",
            "Q", "json", "é", "\t", "1", "a",
        ]), 0..24).prop_map(|pieces| pieces.concat()),
    ]) {
        match lex(&text) {
            Ok(format) => {
                let columns = format.items.iter().map(|item| item.column);
                for column in columns.chain(format.remarks.iter().map(|remark| remark.column)) {
                    prop_assert!(text.is_char_boundary(column) && column < text.len());
                }
                prop_assert!(format.items.windows(2).all(|two| two[0].column < two[1].column));
            }
            Err(mistake) => prop_assert!(text.is_char_boundary(mistake.column), "{mistake:?}"),
        }
    }
}
