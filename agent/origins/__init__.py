"""Origins of web pages: how one is written, which portals are known, how often one may ask."""
