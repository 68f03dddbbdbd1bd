"""The coverage page: one HTML file that loads no other file when it is opened.

Classes, rates and margins come from the marts; this package only formats them.
"""
