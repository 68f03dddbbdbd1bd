"""The traders' board: current prices of all platforms as web pages, read by a role that cannot write.

Belongs here: the web server, its pages, filters over rows, and the news about derived fixtures. Does not belong here:
SQL (`storage.marts.board_reader`), settings (`operate`), any figure: ranks, margins and coverage come from the marts.

`app` joins the parts. Routes of other modules, such as metrics, are given to `app.build_app` as `extra_routes`.
"""
