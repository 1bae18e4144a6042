"""The demo portal, a site of another origin with its own server side, and the drive of the main job."""
