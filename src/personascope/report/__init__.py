"""What a separation looks like and means: a picture, one offline HTML page, a verdict in plain words.

Reads finished values only; knows no engine, no stage and no command line.
"""
