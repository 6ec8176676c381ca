"""The web door: public pages and the one-click endpoint; parse, one call, answer. The only place that knows Flask."""
