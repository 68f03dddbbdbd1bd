"""The traders' board: current prices of all platforms as web pages, read by a role that cannot write.

Ranks, margins and coverage come from the marts, which `storage.marts.board_reader` reads.

`app` joins the parts. Routes of other modules, such as metrics, are given to `app.build_app` as `extra_routes`.
"""
