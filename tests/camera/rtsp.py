#!/usr/bin/python3
"""A network camera behind RTSP with digest authentication, as user `me` with the password `se'cret`.

    rtsp.py PHOTO [PORT]

Shows the photo ten times a second at /camera, and prints its port."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

photo, port = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "0"
Gst.init(None)

token = GstRtspServer.RTSPToken()
token.set_string("media.factory.role", "viewer")
auth = GstRtspServer.RTSPAuth()
auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
auth.add_digest("me", "se'cret", token)

permissions = GstRtspServer.RTSPPermissions()
role = "viewer, media.factory.access=true, media.factory.construct=true"
permissions.add_role_from_structure(Gst.Structure.new_from_string(role))

camera = GstRtspServer.RTSPMediaFactory()
camera.set_shared(True)
camera.set_permissions(permissions)
camera.set_launch(
    f"( multifilesrc location={photo} loop=true caps=image/jpeg,framerate=10/1 ! jpegdec ! videoscale "
    "! video/x-raw,width=640,height=480 ! videoconvert ! jpegenc ! rtpjpegpay name=pay0 )"
)

server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
server.set_auth(auth)
server.get_mount_points().add_factory("/camera", camera)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
