//! The guide: a page for each thing that one wants of a server, with programs to copy.
//!
//! It begins with [getting started](getting_started). All programs are run by the project's tests; the settings files
//! are checked.

/// What pages call each other, before a page says it itself for those who read files.
macro_rules! links {
    () => {
        "
[administration]: crate::guide::administration
[admission]: crate::guide::admission
[async]: crate::guide::async_handlers
[bindings]: crate::guide::bindings
[cache]: crate::guide::cache
[channels]: crate::guide::channels
[component]: crate::guide::component
[cors]: crate::guide::cors
[events]: crate::guide::events
[firewall]: crate::guide::firewall
[forwarding]: crate::guide::forwarding
[headers]: crate::guide::headers
[high-perf]: crate::guide::high_perf
[http]: crate::guide::http
[keeping-up]: crate::guide::keeping_up
[logs]: crate::guide::logs
[metrics]: crate::guide::metrics
[operating]: crate::guide::operating
[overload]: crate::guide::overload
[ranges]: crate::guide::ranges
[reference]: crate::guide::reference
[requests]: crate::guide::requests
[responses]: crate::guide::responses
[slow-peers]: crate::guide::slow_peers
[tls]: crate::guide::tls
[uploads]: crate::guide::uploads
[websocket]: crate::guide::websocket

"
    };
}

macro_rules! pages {
    ($($page:ident $file:literal)*) => {
        $(
            #[doc = links!()]
            #[doc = include_str!(concat!("../guide/", $file))]
            pub mod $page {}
        )*
    };
}

pages! {
    getting_started "getting-started.md"
    requests "requests.md"
    headers "headers.md"
    responses "responses.md"
    ranges "ranges.md"
    uploads "uploads.md"
    async_handlers "async-handlers.md"
    cache "cache.md"
    forwarding "forwarding.md"
    websocket "websocket.md"
    channels "channels.md"
    events "events.md"
    bindings "bindings.md"
    tls "tls.md"
    cors "cors.md"
    admission "admission.md"
    firewall "firewall.md"
    http "http.md"
    high_perf "high-perf.md"
    slow_peers "slow-peers.md"
    overload "overload.md"
    logs "logs.md"
    metrics "metrics.md"
    administration "administration.md"
    operating "operating.md"
    keeping_up "keeping-up.md"
    reference "reference.md"
    component "component.md"
}
