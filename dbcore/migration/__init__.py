"""From a SQL database to DynamoDB: no row lost, doubled or silently changed.

source -> rows -> items -> wire -> checkpoint -> read back -> compare -> report
"""
