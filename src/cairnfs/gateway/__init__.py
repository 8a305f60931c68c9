"""HTTP faces: WebHDFS and the web page."""
