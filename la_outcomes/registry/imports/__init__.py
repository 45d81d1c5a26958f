"""Tables from elsewhere: read, mapped to the dictionary, validated, compared, and taken in when accepted."""
