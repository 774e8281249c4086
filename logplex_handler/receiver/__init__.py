"""A local Logplex to look into: what arrived, as a person sees it, in a terminal or on a page."""
